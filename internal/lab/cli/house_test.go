package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/cli"
	"payonce/internal/lab/runfile"
	"payonce/internal/lab/stage"
)

// asPayonce makes this test binary the command line, so that every command runs
// as a process of its own, with real pipes and a real exit code.
const asPayonce = "PAYONCE_TEST_AS_PAYONCE"

func TestMain(m *testing.M) {
	if os.Getenv(asPayonce) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	stage.Main(m)
}

// terminal is a user at one, in a folder below a running demo's.
type terminal struct {
	t   *testing.T
	dir string // with .payonce in it
	env []string
}

// ran is a command that has ended.
type ran struct {
	code     int
	out, err string
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deep", "below"), 0o755))
	return &terminal{t: t, dir: dir}
}

// beside is a terminal whose folder has the run.json of a stage.
func beside(t *testing.T, s *stage.Stage) *terminal {
	t.Helper()
	d := newTerminal(t)
	require.NoError(t, os.Mkdir(filepath.Join(d.dir, runfile.Folder), 0o755))
	d.describe(s)
	return d
}

func (d *terminal) describe(s *stage.Stage) {
	d.t.Helper()
	pids := map[string]int{}
	for _, p := range []*stage.Program{s.API, s.Relay, s.Worker, s.Simulator} {
		pids[p.Name] = p.Pid()
	}
	file := runfile.File{
		URL: s.URL, SimulatorURL: s.SimulatorURL, MailboxURL: s.SimulatorURL + "/mailbox", PostgresDSN: s.DSN, AMQPURL: s.AMQPURL,
		OperatorToken: stage.OperatorToken, Pids: pids,
	}
	require.NoError(d.t, file.Write(filepath.Join(d.dir, runfile.Folder)))
}

func (d *terminal) command(args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(d.t, err)
	cmd := exec.CommandContext(d.t.Context(), self, args...)
	cmd.Dir = filepath.Join(d.dir, "deep", "below")
	cmd.Env = append([]string{asPayonce + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, d.env...)
	return cmd
}

func (d *terminal) payonce(args ...string) ran {
	d.t.Helper()
	cmd := d.command(args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	failure := cmd.Run()
	var exit *exec.ExitError
	if failure != nil {
		require.ErrorAs(d.t, failure, &exit)
	}
	return ran{code: cmd.ProcessState.ExitCode(), out: out.String(), err: err.String()}
}

// read runs a command that must end with code, and reads its JSON.
func read[T any](d *terminal, code int, args ...string) (value T) {
	d.t.Helper()
	r := d.payonce(args...)
	require.Equal(d.t, code, r.code, "%v: %s%s", args, r.out, r.err)
	require.NoError(d.t, json.Unmarshal([]byte(r.out), &value), "%v: %s", args, r.out)
	return value
}

// sandbox is whose rows the terminal shows.
type sandbox struct {
	MerchantID string `json:"merchant_id"`
	APIKey     string `json:"api_key"`
}

// buyer is the same sandbox by another way: the API itself.
func (d *terminal) buyer(s *stage.Stage) *stage.Buyer {
	d.t.Helper()
	b := s.Buyer()
	b.APIKey = read[sandbox](d, 0, "sandbox").APIKey
	return b
}

// bought is what tests read of a purchase.
type bought struct {
	Payment struct {
		ID, Status string
	}
	Order  struct{ ID string }
	Clicks []struct {
		Status, Requests  int
		Replayed, Matched bool
		OtherCard         bool `json:"other_card"`
	}
	Attempts []struct{ Fate string }
	Proof    json.RawMessage
	Verdict  struct{ Sentence, Tone string }
}

func (b bought) effects(t *testing.T) (e struct {
	Charges, Mails, Tickets int
	LedgerTransactions      int `json:"ledger_transactions"`
}) {
	t.Helper()
	var proof struct{ Effects json.RawMessage }
	require.NoError(t, json.Unmarshal(b.Proof, &proof))
	require.NoError(t, json.Unmarshal(proof.Effects, &e))
	return e
}

// once requires each effect of two tickets once.
func (b bought) once(t *testing.T) {
	t.Helper()
	e := b.effects(t)
	require.Equal(t, []int{1, 1, 2, 1}, []int{e.Charges, e.Mails, e.Tickets, e.LedgerTransactions}, "charges, mails, tickets, ledger transactions")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, time.Minute, 100*time.Millisecond, what)
}

// arm lets something happen at a point, for the terminal's whole sandbox.
func (d *terminal) arm(s *stage.Stage, point, action string) {
	d.t.Helper()
	r, err := d.buyer(s).Do(d.t.Context(), http.MethodPost, "/v1/lab/faults", "", map[string]any{"point": point, "action": action})
	require.NoError(d.t, err)
	require.Equal(d.t, 202, r.Status, "%s", r.Body)
}

func lines(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}
