package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestATerminalGetsTablesAndColoursUnlessNO_COLORSaysOtherwise(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		env, args []string
		colours   bool
	}{
		"a terminal":              {colours: true},
		"NO_COLOR":                {env: []string{"NO_COLOR=1"}},
		"--no-color":              {args: []string{"--no-color"}},
		"a terminal that is dumb": {env: []string{"TERM=dumb"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTerminal(t)
			d.env = one.env
			out := d.onTerminal(append(one.args, "doctor")...)
			require.Contains(t, out, "make demo", "the remedy, in a table")
			require.NotContains(t, out, `"checks"`)
			require.Equal(t, one.colours, bytes.Contains([]byte(out), []byte("\x1b[")), "%q", out)
		})
	}
	require.Contains(t, newTerminal(t).onTerminal("--json", "doctor"), `"checks"`)
}

// onTerminal runs a command whose standard output and error are a terminal.
func (d *terminal) onTerminal(args ...string) string {
	d.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(d.t, err)
	defer master.Close()
	require.NoError(d.t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(d.t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(d.t, err)
	defer terminal.Close()
	require.NoError(d.t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 90}))
	cmd := d.command(args...)
	cmd.Env = append([]string{"TERM=xterm"}, cmd.Env...)
	cmd.Stdout, cmd.Stderr = terminal, terminal
	require.NoError(d.t, cmd.Start())
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(master) // ends with an error when the last who holds the terminal has gone
		said <- string(text)
	}()
	_ = cmd.Wait() // without a shop the doctor exits 1
	require.NoError(d.t, terminal.Close())
	return <-said
}
