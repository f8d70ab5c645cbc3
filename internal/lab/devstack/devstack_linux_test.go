package devstack_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"payonce/internal/lab/devstack"
)

// launcherDir makes this test binary a launcher: it starts a stack there,
// prints what it started, and waits to be killed.
const launcherDir = "PAYONCE_TEST_LAUNCHER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(launcherDir); dir != "" {
		if err := launch(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func launch(dir string) error {
	stack, err := devstack.Start(context.Background(), devstack.Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %d %d\n", stack.PostgresDSN("payonce"), stack.Dir(), stack.Postgres.Pid(), stack.RabbitMQ.Pid())
	select {}
}

func TestAStackKeepsItsDataThroughStopsAndKillsAndASecondStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var mu sync.Mutex // both services report at once
	var lines []string
	options := devstack.Options{Dir: dir, Progress: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}}

	first := start(t, options)
	for _, name := range []string{"postgres ", "rabbitmq "} {
		if n := len(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.HasPrefix(line, name) })); n != 1 {
			t.Errorf("want 1 progress line of %s, got %q", name, lines)
		}
	}
	if _, err := devstack.Start(t.Context(), devstack.Options{Dir: dir}); !errors.Is(err, devstack.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second stack in the same folder: want ErrInUse with our pid, got %v", err)
	}
	dsn, amqp := first.PostgresDSN(devstack.MainDatabase), first.AMQPURL("/")
	execute(t, dsn, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)`)

	for _, service := range []*devstack.Service{first.Postgres, first.RabbitMQ} {
		for name, end := range map[string]func(context.Context) error{"stop": service.Stop, "kill": service.Kill} {
			before := service.Pid()
			if err := end(t.Context()); err != nil {
				t.Fatalf("%s %s: %v", name, service.Name, err)
			}
			if service.Pid() != 0 || alive(before) {
				t.Errorf("%s %s: pid %d is still there", name, service.Name, before)
			}
			if err := service.Start(t.Context()); err != nil {
				t.Fatalf("start %s after %s: %v", service.Name, name, err)
			}
		}
	}
	if n := count(t, dsn, `SELECT count(*) FROM kept`); n != 1 {
		t.Errorf("after stop and kill: want 1 row, got %d", n)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	nothingOf(t, dir)

	second := start(t, devstack.Options{Dir: dir})
	if second.PostgresDSN(devstack.MainDatabase) != dsn || second.AMQPURL("/") != amqp {
		t.Error("the second start has other addresses than the first")
	}
	if n := count(t, dsn, `SELECT count(*) FROM kept`); n != 1 {
		t.Errorf("after a second start: want 1 row, got %d", n)
	}
	if synced := text(t, dsn, `SHOW fsync`); synced != "on" {
		t.Errorf("the demo's stack must sync to disk: fsync is %s", synced)
	}
}

func TestALauncherKilledWithSIGKILLLeavesNothingAndTheNextStartRecovers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	launcher, dsn := launchElsewhere(t, dir, nil)
	execute(t, dsn, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)`)
	if len(belonging(t, dir)) < 8 {
		t.Fatalf("the two services are more than 8 processes, found %v: this test would not see a leftover", belonging(t, dir))
	}

	if err := launcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = launcher.Wait() // it was killed: the status is known
	eventually(t, "everything of the killed launcher is gone", func() bool { return len(belonging(t, dir)) == 0 })
	nothingOf(t, dir)

	start(t, devstack.Options{Dir: dir})
	if n := count(t, dsn, `SELECT count(*) FROM kept`); n != 1 {
		t.Errorf("after the launcher was killed: want 1 row, got %d", n)
	}
}

func TestAnOrdinaryUserRunsAStackToo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("we are an ordinary user: every other test shows it")
	}
	dir := folder(t)
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	launcher, dsn := launchElsewhere(t, dir, &syscall.Credential{Uid: nobody, Gid: nobody})
	if n := count(t, dsn, `SELECT 1`); n != 1 {
		t.Errorf("want 1, got %d", n)
	}
	for _, pid := range belonging(t, dir) {
		var status syscall.Stat_t
		if err := syscall.Stat(fmt.Sprintf("/proc/%d", pid), &status); err == nil && status.Uid != nobody {
			t.Errorf("pid %d runs as %d, not as the launcher", pid, status.Uid)
		}
	}
	if err := launcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = launcher.Wait() // it was killed: the status is known
	eventually(t, "everything of the ordinary user's stack is gone", func() bool { return len(belonging(t, dir)) == 0 })
}

func TestAPortThatWasTakenInBetweenIsLeftToItsNewOwner(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, devstack.Options{Dir: dir, SkipRabbitMQ: true})
	before := first.PostgresDSN("payonce")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	port := before[strings.LastIndex(before, ":")+1 : strings.LastIndex(before, "/")]
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	second := start(t, devstack.Options{Dir: dir, SkipRabbitMQ: true})
	if second.PostgresDSN("payonce") == before {
		t.Errorf("port %s belongs to somebody else now", port)
	}
	if n := count(t, second.PostgresDSN("payonce"), `SELECT 1`); n != 1 {
		t.Errorf("want 1, got %d", n)
	}
}

func TestFreshDropsTheDataOfTheRunBefore(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, devstack.Options{Dir: dir, SkipRabbitMQ: true})
	execute(t, first.PostgresDSN("payonce"), `CREATE TABLE kept (n int)`)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, devstack.Options{Dir: dir, SkipRabbitMQ: true, Fresh: true})
	if n := count(t, second.PostgresDSN("payonce"), `SELECT count(*) FROM pg_tables WHERE tablename = 'kept'`); n != 0 {
		t.Errorf("want 0 tables of the run before, got %d", n)
	}
}

func TestAsRootAFolderThatPostgresCannotReachIsMovedAndSaid(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user's Postgres reaches what the user reaches")
	}
	closed := folder(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	var said string
	stack := start(t, devstack.Options{Dir: filepath.Join(closed, "data"), SkipRabbitMQ: true, Progress: func(line string) { said += line + "\n" }})
	t.Cleanup(func() {
		if err := errors.Join(stack.Close(), os.RemoveAll(stack.Dir())); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(stack.Dir())) // only when nobody else is in it
	})
	if !strings.HasPrefix(stack.Dir(), "/var/lib/payonce/") || !strings.Contains(said, closed) || !strings.Contains(said, stack.Dir()) {
		t.Errorf("data are in %s, and it said %q", stack.Dir(), said)
	}
	if n := count(t, stack.PostgresDSN("payonce"), `SELECT 1`); n != 1 {
		t.Errorf("want 1, got %d", n)
	}
}

func TestNothingListensOnAnotherAddressThanLoopback(t *testing.T) {
	t.Parallel()
	stack := start(t, devstack.Options{Dir: folder(t), BrokerAPI: true})
	pids := belonging(t, stack.Dir())
	listening := 0
	for _, address := range listeners(t, pids) {
		listening++
		if !address.IsLoopback() {
			t.Errorf("a service listens on %s", address)
		}
	}
	if listening < 5 { // postgres, amqp, distribution, epmd, broker api
		t.Errorf("want at least 5 listening sockets, found %d", listening)
	}
}

func start(t *testing.T, options devstack.Options) *devstack.Stack {
	t.Helper()
	stack, err := devstack.Start(t.Context(), options)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return stack
}

// launchElsewhere starts a stack in another process and returns it with the DSN.
func launchElsewhere(t *testing.T, dir string, as *syscall.Credential) (*exec.Cmd, string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if as != nil { // go's build folder is not for others' eyes
		program = copyForAll(t, program)
	}
	launcher := exec.CommandContext(t.Context(), program)
	launcher.Env = append(os.Environ(), launcherDir+"="+dir)
	launcher.Dir = dir
	launcher.Stderr = os.Stderr
	launcher.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	output, err := launcher.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := launcher.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = launcher.Process.Kill() }) // most tests have killed it
	var dsn, place string
	var pids [2]int
	if _, err := fmt.Fscan(output, &dsn, &place, &pids[0], &pids[1]); err != nil {
		t.Fatalf("the launcher did not start: %v", err)
	}
	if place != dir || !alive(pids[0]) || !alive(pids[1]) {
		t.Fatalf("the launcher says %s, postgres %d, rabbitmq %d", place, pids[0], pids[1])
	}
	return launcher, dsn
}

func copyForAll(t *testing.T, program string) string {
	t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder(t), "launcher")
	if err := os.WriteFile(file, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// folder is like t.TempDir, but can be entered by the user postgres.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "payonce-devstack-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	if _, err := open(t, dsn).ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, dsn, query string) (n int) {
	t.Helper()
	if err := open(t, dsn).QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func text(t *testing.T, dsn, query string) (s string) {
	t.Helper()
	if err := open(t, dsn).QueryRowContext(t.Context(), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	// A node that comes back, and a copy of a server, take seconds on a quiet machine.
	deadline := time.After(2 * time.Minute)
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
