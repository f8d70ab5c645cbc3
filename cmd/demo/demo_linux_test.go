package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/runfile"
)

// asDemo makes this test binary the demo; under the name of a part it is that
// part, as simple as a part can be.
const asDemo = "PAYONCE_TEST_AS_DEMO"

func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case slices.Contains([]string{"api", "relay", "worker", "simulator"}, name):
		if err := pretend(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(asDemo) != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

// pretend answers every readiness question where the demo told it to, once its
// database can be reached.
func pretend(name string) error {
	listen, dsn := os.Getenv("PAYONCE_ADMIN_LISTEN"), os.Getenv("PAYONCE_POSTGRES_DSN")
	switch name {
	case "api":
		listen = os.Getenv("PAYONCE_LISTEN")
	case "simulator":
		listen, dsn = os.Getenv("PAYONCE_SIMULATOR_LISTEN"), os.Getenv("PAYONCE_SIMULATOR_POSTGRES_DSN")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.PingContext(ctx); err != nil || len(os.Args) > 1 { // api --migrate
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
	go server.Serve(listener) //nolint:errcheck // it ends with the process
	<-ctx.Done()
	return nil
}

func TestWhateverIsKilledComesBackAndRunJSONSaysWhere(t *testing.T) {
	t.Parallel()
	d := launch(t, folder(t))
	before := d.run(t)
	for _, name := range []string{"api", "relay", "worker", "simulator", "postgres", "rabbitmq"} {
		if !runs(before.Pids[name]) {
			t.Fatalf("run.json says that %s is %d, which does not run", name, before.Pids[name])
		}
	}
	for _, name := range []string{"api", "relay", "worker", "simulator", "postgres", "rabbitmq"} {
		t.Run(name, func(t *testing.T) {
			if err := syscall.Kill(before.Pids[name], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			d.line(t, fmt.Sprintf("%s (pid %d) was killed by SIGKILL, restarting", name, before.Pids[name]))
			eventually(t, name+" is back and in run.json", func() bool {
				now, err := runfile.Read(d.dir)
				if err == nil && now.Pids[name] <= 1 {
					t.Fatalf("run.json says %d, and kill(%d) ends its reader", now.Pids[name], now.Pids[name])
				}
				return err == nil && now.Pids[name] != before.Pids[name] && runs(now.Pids[name])
			})
		})
	}
	after := d.run(t)
	if after.URL != before.URL || after.PostgresDSN != before.PostgresDSN || after.AMQPURL != before.AMQPURL || after.SimulatorURL != before.SimulatorURL {
		t.Error("a restart changed an address")
	}

	second := d.command(t)
	output, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(output), fmt.Sprintf("pid %d", d.cmd.Process.Pid)) || !strings.Contains(string(output), before.URL) {
		t.Errorf("a second demo in the same folder must say who runs there and where, said %q (%v)", output, err)
	}

	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.line(t, "stopped; nothing of it runs any more")
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("a demo that is asked to stop ends well, got %v", err)
	}
	d.nothingLeft(t, after)
	if _, err := os.Stat(runfile.Path(d.dir)); !os.IsNotExist(err) {
		t.Errorf("run.json outlives the demo: %v", err)
	}
}

func TestAKilledDemoLeavesNothingAndTheNextOneStartsWithItsData(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := launch(t, dir)
	file := first.run(t)
	db, err := sql.Open("postgres", file.PostgresDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE kept (n int)`); err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait() // it was killed: the status is known
	first.nothingLeft(t, file)

	second := launch(t, dir)
	again := second.run(t)
	if again.OperatorToken != file.OperatorToken || again.WebhookSecret != file.WebhookSecret {
		t.Error("the second start made other secrets")
	}
	if _, err := db.ExecContext(t.Context(), `SELECT FROM kept`); err != nil {
		t.Errorf("the data did not survive: %v", err)
	}
}

func TestAPartThatDoesNotStartIsShownWithItsLastWords(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	bin := pretenders(t)
	if err := os.Remove(filepath.Join(bin, "worker")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "worker"), []byte("#!/bin/sh\necho no mail today; exit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := &running{dir: dir, bin: bin}
	output, err := d.command(t).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "worker exited with status 3") || !strings.Contains(string(output), "no mail today") {
		t.Errorf("want the worker's status and words, got %q (%v)", output, err)
	}
	if left := processesWith(t, dir); len(left) > 0 {
		t.Errorf("a failed start leaves %v", left)
	}
}

// running is a demo in another process.
type running struct {
	dir, bin string
	cmd      *exec.Cmd
	lines    chan string
}

func (d *running) command(t *testing.T) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, err := devstack.FreePort(t.Context()) // 8080 is there only once
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "--no-browser", "--data-dir", d.dir, "--bin", d.bin, "--port", strconv.Itoa(port))
	cmd.Env = append(os.Environ(), asDemo+"=1", "PAYONCE_POSTGRES_DSN=", "PAYONCE_AMQP_URL=")
	return cmd
}

func launch(t *testing.T, dir string, arguments ...string) *running {
	t.Helper()
	d := &running{dir: dir, bin: pretenders(t), lines: make(chan string, 1000)}
	d.cmd = d.command(t)
	d.cmd.Args = append(d.cmd.Args, arguments...)
	output, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = os.Stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go d.read(output)
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // most tests have ended it
		eventually(t, "the demo's processes are gone", func() bool { return len(processesWith(t, dir)) == 0 })
	})
	d.line(t, "Ctrl-C stops everything")
	return d
}

func (d *running) read(output io.Reader) {
	defer close(d.lines)
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		d.lines <- scanner.Text()
	}
}

// line waits until the demo says it.
func (d *running) line(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case got, open := <-d.lines:
			if strings.Contains(got, want) {
				return
			}
			if !open {
				t.Fatalf("the demo ended without saying %q", want)
			}
		case <-deadline:
			t.Fatalf("the demo did not say %q in time", want)
		}
	}
}

func (d *running) run(t *testing.T) runfile.File {
	t.Helper()
	file, err := runfile.Read(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// nothingLeft waits for the kernel to end what a killed demo had.
func (d *running) nothingLeft(t *testing.T, file runfile.File) {
	t.Helper()
	eventually(t, "nothing of the demo runs", func() bool { return len(processesWith(t, d.dir)) == 0 })
	for _, address := range []string{file.URL, file.SimulatorURL, file.PostgresDSN, file.AMQPURL} {
		host := address[strings.LastIndexAny(address, "@/"):]
		if at := strings.Index(address, "@"); at > 0 {
			host, _, _ = strings.Cut(address[at+1:], "/")
		}
		conn, err := net.DialTimeout("tcp", strings.TrimLeft(host, "/@"), time.Second)
		if err == nil {
			conn.Close()
			t.Errorf("somebody still listens on %s", host)
		}
	}
}

// folder is like t.TempDir, but can be entered by the user postgres.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for above := dir; strings.HasPrefix(above, os.TempDir()+"/"); above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pretenders is a folder with four programs, all of them this test.
func pretenders(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"api", "relay", "worker", "simulator"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// processesWith finds processes by the folder in their command, environment or
// working folder, but not the demo itself.
func processesWith(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range all {
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		if process == fmt.Sprintf("/proc/%d", os.Getpid()) || strings.Contains(string(environment), asDemo+"=") {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		folder, _ := os.Readlink(filepath.Join(process, "cwd"))
		if strings.Contains(string(environment)+string(command)+folder, dir) {
			found = append(found, process+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

func runs(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

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
