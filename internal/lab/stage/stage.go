package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/faults"
	"payonce/internal/lab/naive"
	"payonce/internal/lab/program"
	"payonce/internal/platform/postgres"
)

// Options say what differs from the demo.
type Options struct {
	// Env is added for one program, by name: api, relay, worker, simulator.
	Env map[string][]string
	// Without names programs that are not started at first.
	Without []string
	// PostgresDSN and AMQPURL replace the addresses that the programs are
	// given, for a proxy between them and the services.
	PostgresDSN, AMQPURL string
	// Between stands in every way that one process takes to another: it gets
	// the address and returns the one to connect to instead. Nil is the straight
	// way. From is a program or "client"; to is postgres, rabbitmq, provider,
	// smtp or api.
	Between func(from, to, address string) string
	// Services are the test's own, for tests that end them; nil shares those of
	// all tests.
	Services *Services
}

// Services are a Postgres and a RabbitMQ that belong to one test.
type Services struct{ DSN, AMQPURL string }

// Stage is a running house.
type Stage struct {
	T            testing.TB
	URL          string // the api
	SimulatorURL string
	SimulatorDSN string       // the provider's own books
	DB           *postgres.DB // the shop's database, for looking into it and breaking it: an administrator's
	DSN          string
	AMQPURL      string

	API, Relay, Worker, Simulator *Program

	program func(name, at, ready string) *Program
}

// Program is one program of the stage: every failure of it is the test's.
type Program struct {
	*program.Program
	t testing.TB
}

// Secret is the secret of every stage, so that tests can make API keys.
const Secret = "stage-secret-stage-secret-stage-secret"

// OperatorToken opens what is global on every stage.
const OperatorToken = "stage-operator-token-0123456789"

// Start raises the curtain. Everything is taken down when the test ends.
func Start(t testing.TB, options Options) *Stage {
	t.Helper()
	bin, err := built()
	require.NoError(t, err)
	s := &Stage{T: t}
	if own := options.Services; own != nil {
		s.DSN, s.AMQPURL = own.DSN, own.AMQPURL
	} else {
		s.DSN, s.AMQPURL = devtest.DSN(t), devtest.Broker(t)
	}
	s.DB, err = postgres.Open(t.Context(), postgres.Config{DSN: s.DSN, PoolSize: 4, AppName: "stage"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.DB.Close() })
	require.NoError(t, errors.Join(faults.Make(t.Context(), s.DB), naive.Make(t.Context(), s.DB)), "what api --migrate makes in a lab build")

	api, simulator, smtp := free(t), free(t), free(t)
	s.SimulatorURL, s.SimulatorDSN = "http://"+simulator, devtest.EmptyDSN(t)
	ways := ways{between: options.Between, postgres: s.DSN, rabbitmq: s.AMQPURL, provider: s.SimulatorURL, smtp: smtp}
	if options.PostgresDSN != "" {
		ways.postgres = options.PostgresDSN
	}
	if options.AMQPURL != "" {
		ways.rabbitmq = options.AMQPURL
	}
	s.URL = "http://" + ways.address("client", "api", api)
	settings := program.Settings{
		Bin: bin, Schedule: "demo", ReaderDSN: devstack.RoleDSN(s.DSN, postgres.ReaderRole), SimulatorDSN: s.SimulatorDSN, Simulator: simulator, SMTP: smtp,
		Listen: api, PublicURL: s.URL, LocalURL: s.URL,
		Secrets: map[string]string{"PAYONCE_SECRET": Secret, "PAYONCE_OPERATOR_TOKEN": OperatorToken},
	}
	// A connection costs 0.05 s of processor time before its first answer, and a
	// test's traffic needs few: a worker that is killed often opens them each time.
	pools := map[string][]string{"worker": {"PAYONCE_POOL_SIZE=6"}, "relay": {"PAYONCE_POOL_SIZE=4"}}
	s.program = func(name, at, ready string) *Program {
		own := settings
		own.Dir = t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(own.Dir, "log"), 0o755))
		p := &Program{t: t, Program: program.New(own.Spec(name, at, slices.Concat(ways.of(name), pools[name], options.Env[name])...), "http://"+at, ready)}
		t.Cleanup(p.end)
		return p
	}
	s.Simulator = s.program("simulator", simulator, "/healthz")
	s.API = s.program("api", api, "/readyz")
	s.Relay = s.program("relay", free(t), "/readyz")
	s.Worker = s.program("worker", free(t), "/readyz")
	s.raise(options.Without)
	return s
}

// raise starts the programs side by side.
func (s *Stage) raise(without []string) {
	s.T.Helper()
	var all sync.WaitGroup
	var problems [4]error
	for i, p := range []*Program{s.Simulator, s.API, s.Relay, s.Worker} {
		if !slices.Contains(without, p.Name) {
			all.Go(func() { _, problems[i] = p.Program.Start(context.Background()) })
		}
	}
	all.Wait()
	require.NoError(s.T, errors.Join(problems[:]...))
}

// Another starts one more relay or worker.
func (s *Stage) Another(name string) *Program {
	s.T.Helper()
	p := s.program(name, free(s.T), "/readyz")
	p.Start()
	return p
}

func free(t testing.TB) string {
	t.Helper()
	address, err := devstack.FreeAddress(t.Context())
	require.NoError(t, err)
	return address
}

// Start runs the program and waits until it is ready.
func (p *Program) Start() {
	p.t.Helper()
	_, err := p.Program.Start(context.Background())
	require.NoError(p.t, err, "%s", p.Name)
}

// Kill ends the program with SIGKILL: nothing is flushed, nothing is closed.
func (p *Program) Kill() {
	p.t.Helper()
	require.NoError(p.t, p.Program.Kill())
}

// Ends waits until the program has ended and says how, in words.
func (p *Program) Ends(limit time.Duration) string {
	p.t.Helper()
	process := p.Process()
	select {
	case <-process.Done():
	case <-time.After(limit):
		require.Fail(p.t, "it does not end", "%s, after %s:\n%s", p.Name, limit, process.LogTail(20))
	}
	return process.Ending()
}

// Keep starts the program again whenever it ends, until the test does: the
// supervisor that a fault campaign needs.
func (p *Program) Keep() {
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		program.Keeper{Pause: 10 * time.Millisecond, Longest: time.Second, Settled: time.Second}.Keep(ctx, p.Process(), func(context.Context) (*proc.Process, error) { return p.Launch() })
	}()
	p.t.Cleanup(func() { stop(); <-over })
}

func (p *Program) end() {
	process := p.Process()
	if process == nil {
		return
	}
	if p.t.Failed() {
		p.t.Logf("the last lines of %s:\n%s", p.Name, process.LogTail(20))
	}
	_ = process.Signal(syscall.SIGCONT) // a test may have stopped it
	_ = process.Stop(syscall.SIGTERM, 3*time.Second)
}
