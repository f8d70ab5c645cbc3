package stage

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/devstack/proc"
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
	DB           *postgres.DB // the shop's database, for looking into it
	DSN          string
	AMQPURL      string

	API, Relay, Worker, Simulator *Program

	program func(name, at, ready string) *Program
}

// Program is one program that can be killed and started again at its place.
type Program struct {
	Name  string
	t     testing.TB
	spec  proc.Spec
	ready string

	mu      sync.Mutex
	process *proc.Process
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

	api, simulator, smtp := free(t), free(t), free(t)
	s.SimulatorURL = "http://" + simulator
	ways := ways{between: options.Between, postgres: s.DSN, rabbitmq: s.AMQPURL, provider: s.SimulatorURL, smtp: smtp}
	if options.PostgresDSN != "" {
		ways.postgres = options.PostgresDSN
	}
	if options.AMQPURL != "" {
		ways.rabbitmq = options.AMQPURL
	}
	s.URL = "http://" + ways.address("client", "api", api)
	env := append(inherited(),
		"PAYONCE_SCHEDULE=demo", "PAYONCE_LOG_FORMAT=json", "PAYONCE_MAILBOX_URL="+s.SimulatorURL,
		"PAYONCE_LISTEN="+api, "PAYONCE_PUBLIC_URL="+s.URL,
		"PAYONCE_SECRET="+Secret, "PAYONCE_OPERATOR_TOKEN="+OperatorToken,
		"PAYONCE_SIMULATOR_POSTGRES_DSN="+devtest.EmptyDSN(t),
		"PAYONCE_SIMULATOR_WEBHOOK_URL="+s.URL+"/v1/webhooks/provider",
		"PAYONCE_SIMULATOR_SHOP_URL="+s.URL, "PAYONCE_SIMULATOR_SHOP_DSN="+s.DSN,
		"PAYONCE_SIMULATOR_LISTEN="+simulator, "PAYONCE_SIMULATOR_SMTP_LISTEN="+smtp)
	s.program = func(name, at, ready string) *Program {
		p := &Program{Name: name, t: t, ready: "http://" + at + ready, spec: proc.Spec{
			Name: name, Path: filepath.Join(bin, name), Dir: t.TempDir(), LogFile: filepath.Join(t.TempDir(), name+".log"),
			Env: append(append(append([]string{"PAYONCE_ADMIN_LISTEN=" + at}, env...), ways.of(name)...), options.Env[name]...),
		}}
		t.Cleanup(p.end)
		return p
	}
	s.Simulator = s.program("simulator", simulator, "/healthz")
	s.API = s.program("api", api, "/readyz")
	s.Relay = s.program("relay", free(t), "/readyz")
	s.Worker = s.program("worker", free(t), "/readyz")
	for _, p := range []*Program{s.Simulator, s.API, s.Relay, s.Worker} {
		if !contains(options.Without, p.Name) {
			p.Start()
		}
	}
	return s
}

// Another starts one more relay or worker.
func (s *Stage) Another(name string) *Program {
	s.T.Helper()
	p := s.program(name, free(s.T), "/readyz")
	p.Start()
	return p
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func inherited() (env []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, set := os.LookupEnv(name); set {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func free(t testing.TB) string {
	t.Helper()
	port, err := devstack.FreePort(t.Context())
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// Start runs the program and waits until it is ready.
func (p *Program) Start() {
	p.t.Helper()
	require.NoError(p.t, p.launch())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(p.t, p.current().UntilReady(ctx, 30*time.Second, p.answers), "%s", p.Name)
}

func (p *Program) launch() error {
	process, err := proc.Start(p.spec)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
	return nil
}

func (p *Program) current() *proc.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

func (p *Program) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ready, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: %s", p.Name, resp.Status)
	}
	return nil
}

// Pid is the process id of the program's latest life.
func (p *Program) Pid() int { return p.current().Pid() }

// Running says whether the program lives at the moment.
func (p *Program) Running() bool { return p.current() != nil && p.current().Running() }

// Signal sends s to the program; a dead one is no error.
func (p *Program) Signal(s os.Signal) error { return p.current().Signal(s) }

// Kill ends the program with SIGKILL: nothing is flushed, nothing is closed.
func (p *Program) Kill() {
	p.t.Helper()
	require.NoError(p.t, p.current().Kill())
}

// Stop asks the program to end, as a deployment does, and waits for it.
func (p *Program) Stop(grace time.Duration) error { return p.current().Stop(syscall.SIGTERM, grace) }

// Ends waits until the program has ended and says how, in words.
func (p *Program) Ends(limit time.Duration) string {
	p.t.Helper()
	process := p.current()
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
		for {
			select {
			case <-ctx.Done():
				return
			case <-p.current().Done():
			}
			if ctx.Err() != nil || p.launch() != nil {
				return
			}
		}
	}()
	p.t.Cleanup(func() { stop(); <-over })
}

func (p *Program) end() {
	process := p.current()
	if process == nil {
		return
	}
	if p.t.Failed() {
		p.t.Logf("the last lines of %s:\n%s", p.Name, process.LogTail(20))
	}
	_ = process.Signal(syscall.SIGCONT) // a test may have stopped it
	_ = process.Stop(syscall.SIGTERM, 3*time.Second)
}
