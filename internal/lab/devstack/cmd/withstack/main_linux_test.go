package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asWithstack makes this test binary the command itself.
const asWithstack = "PAYONCE_TEST_AS_WITHSTACK"

func TestMain(m *testing.M) {
	if os.Getenv(asWithstack) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestTheCommandsStatusTheAddressesAndTheLogsArePassedOn(t *testing.T) {
	t.Parallel()
	script := `test -n "$PAYONCE_TEST_POSTGRES_DSN" && test -n "$PAYONCE_TEST_AMQP_URL" && test -n "$PAYONCE_TEST_BROKER_API" && test -s "$PAYONCE_TEST_LOGS/rabbitmq.log" && exit 7`
	withstack := command(t, "sh", "-c", script)
	err := withstack.Run()
	if withstack.ProcessState.ExitCode() != 7 {
		t.Errorf("want the command's status 7, got %v", err)
	}
}

func TestAKilledRunnerTakesItsCommandsGrandchildrenWithIt(t *testing.T) {
	t.Parallel()
	note := filepath.Join(t.TempDir(), "pid")
	withstack := command(t, "sh", "-c", `sh -c 'echo $$ > "$1.new"; mv "$1.new" "$1"; sleep 600' grandchild "$1"; true`, "child", note)
	if err := withstack.Start(); err != nil {
		t.Fatal(err)
	}
	var text []byte
	eventually(t, "the grandchild runs", func() bool {
		var err error
		text, err = os.ReadFile(note)
		return err == nil
	})
	grandchild, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := withstack.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = withstack.Wait() // it was killed: the status is known
	eventually(t, "the grandchild is gone", func() bool { return !runs(grandchild) })
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asWithstack+"=1")
	return cmd
}

// runs is false for a zombie, which nobody may be there to wait for.
func runs(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && syscall.Kill(pid, 0) == nil && !bytes.Contains(status, []byte(") Z "))
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}
