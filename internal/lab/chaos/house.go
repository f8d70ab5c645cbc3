package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
	"payonce/internal/platform/postgres"
)

const simulator = "simulator"

// house is everything that runs in a campaign.
type house struct {
	dir   string // programs' logs and binaries
	stack *devstack.Stack
	net   *network
	front *front
	db    *postgres.DB
	world *postgres.DB // the simulator's own

	programs map[string]*program
	order    []string

	simulatorURL, smtp string
	apiURL             map[string]string
	secret             map[string]string
	amqpURL            string

	keepers sync.WaitGroup
	stop    context.CancelFunc
	release func() // of the folder's lock
}

// open builds the programs, starts the services and raises the house. After an
// error nothing runs.
func open(ctx context.Context, o Options) (*house, error) {
	h := &house{
		dir: o.Dir, net: newNetwork(), programs: map[string]*program{}, apiURL: map[string]string{},
		secret: map[string]string{
			"PAYONCE_SECRET": rand.Text() + rand.Text(), "PAYONCE_OPERATOR_TOKEN": "op_" + rand.Text(),
			"PAYONCE_PROVIDER_KEY":   "sk_provider_" + rand.Text(),
			"PAYONCE_WEBHOOK_SECRET": "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32]),
		},
	}
	var keeping context.Context
	keeping, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := h.raise(ctx, keeping, o); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) raise(ctx, keeping context.Context, o Options) (err error) {
	if err := h.take(); err != nil {
		return err
	}
	o.Say("building the programs")
	if err := h.build(ctx); err != nil {
		return err
	}
	h.stack, err = devstack.Start(ctx, devstack.Options{Dir: h.dir, Fresh: true, Progress: o.Say})
	if err != nil {
		return err
	}
	for _, service := range []*devstack.Service{h.stack.Postgres, h.stack.RabbitMQ} {
		h.keepers.Go(func() { keepService(keeping, service, o.Say) })
	}
	h.amqpURL = h.stack.AMQPURL("/")
	h.db, err = postgres.Open(ctx, postgres.Config{
		DSN: h.stack.PostgresDSN(devstack.MainDatabase), PoolSize: 4, AppName: "chaos", StatementTimeout: time.Minute,
	})
	if err != nil {
		return err
	}
	h.world, err = postgres.Open(ctx, postgres.Config{
		DSN: h.stack.PostgresDSN(devstack.SimulatorDatabase), PoolSize: 1, AppName: "chaos",
	})
	if err != nil {
		return err
	}
	if err := h.addresses(ctx); err != nil {
		return err
	}
	if err := proc.Run(ctx, h.migration()); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	for _, name := range h.order {
		p := h.programs[name]
		h.keepers.Go(func() { p.keep(keeping) })
		if name == simulator {
			if err := untilReady(ctx, time.Minute, p); err != nil {
				return err
			}
		}
	}
	return h.untilReady(ctx)
}

// take makes the folder ours and empties it of an earlier campaign's logs and
// archives.
func (h *house) take() (err error) {
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if h.release, err = devstack.Lock(filepath.Join(h.dir, "chaos.lock")); err != nil {
		return err
	}
	for _, name := range []string{"log", "archive"} {
		if err := os.RemoveAll(filepath.Join(h.dir, name)); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(h.dir, name), 0o755); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return nil
}

// untilReady waits for every program.
func (h *house) untilReady(ctx context.Context) error {
	return untilReady(ctx, 2*time.Minute, slices.Collect(maps.Values(h.programs))...)
}

// keepService starts a service again whenever it ends.
func keepService(ctx context.Context, service *devstack.Service, say func(string)) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-service.Process().Done():
		}
		for ctx.Err() == nil {
			err := service.Start(ctx)
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				say(fmt.Sprintf("%s does not start, trying again: %v", service.Name, err))
			}
		}
	}
}

func (h *house) build(ctx context.Context) error {
	root, err := repository()
	if err != nil {
		return err
	}
	args := []string{"build", "-buildvcs=false", "-tags", "lab", "-o", h.bin("") + "/"}
	if overlay := os.Getenv("PAYONCE_STAGE_OVERLAY"); overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/api", "./cmd/relay", "./cmd/worker", "./cmd/simulator")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// repository is the folder whose go.mod says that it is ours.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module payonce\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run a campaign inside the repository")
		}
		dir = parent
	}
}

func (h *house) bin(name string) string     { return filepath.Join(h.dir, "bin", name) }
func (h *house) logFile(name string) string { return filepath.Join(h.dir, "log", name+".log") }

func free(ctx context.Context) (string, error) {
	port, err := devstack.FreePort(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// addresses chooses where everybody listens, once: who is killed comes back
// where it was.
func (h *house) addresses(ctx context.Context) error {
	world, err := free(ctx)
	if err != nil {
		return err
	}
	if h.smtp, err = free(ctx); err != nil {
		return err
	}
	h.simulatorURL = "http://" + world
	services := map[string]string{
		"postgres": h.stack.PostgresDSN(devstack.MainDatabase), "rabbitmq": h.amqpURL, "provider": h.simulatorURL,
	}
	linked := map[string]string{}
	for _, name := range links {
		_, service, _ := strings.Cut(name, ">")
		if linked[name], err = h.net.link(ctx, name, services[service]); err != nil {
			return err
		}
	}
	for _, name := range apis {
		if err := h.add(ctx, name, linked); err != nil {
			return err
		}
		h.apiURL[name] = strings.TrimSuffix(h.programs[name].at, "/readyz")
	}
	if h.front, err = openFront(ctx, slices.Collect(maps.Values(h.apiURL))); err != nil {
		return err
	}
	for _, name := range slices.Concat([]string{simulator}, relays, workers) {
		if err := h.add(ctx, name, linked); err != nil {
			return err
		}
	}
	h.order = slices.Concat([]string{simulator}, everyProgram())
	return nil
}

// add describes one program: its place and its environment.
func (h *house) add(ctx context.Context, name string, linked map[string]string) error {
	listen, err := free(ctx)
	if err != nil {
		return err
	}
	binary, _, _ := strings.Cut(name, "-")
	ready := "/readyz"
	if name == simulator {
		listen, ready = strings.TrimPrefix(h.simulatorURL, "http://"), "/healthz"
	}
	h.programs[name] = &program{
		name: name, at: "http://" + listen + ready, deaths: map[string]int{},
		spec: proc.Spec{
			Name: name, Path: h.bin(binary), Dir: h.dir, LogFile: h.logFile(name),
			Env: h.environment(listen, linked[binary+">postgres"], linked[binary+">rabbitmq"], linked[binary+">provider"]),
		},
	}
	return nil
}

func (h *house) environment(listen, dsn, amqp, provider string) []string {
	if dsn == "" {
		dsn = h.stack.PostgresDSN(devstack.MainDatabase)
	}
	if provider == "" {
		provider = h.simulatorURL
	}
	webhooks := ""
	if h.front != nil {
		webhooks = h.front.url + "/v1/webhooks/provider"
	}
	env := []string{
		h.stack.Marker(),
		"PAYONCE_MODE=sandbox", "PAYONCE_SCHEDULE=demo", "PAYONCE_LOG_FORMAT=json",
		"PAYONCE_POSTGRES_DSN=" + dsn, "PAYONCE_AMQP_URL=" + amqp, "PAYONCE_PROVIDER_URL=" + provider,
		"PAYONCE_SMTP_ADDR=" + h.smtp, "PAYONCE_MAILBOX_URL=" + h.simulatorURL,
		"PAYONCE_LISTEN=" + listen, "PAYONCE_ADMIN_LISTEN=" + listen, "PAYONCE_PUBLIC_URL=http://" + listen,
		"PAYONCE_SIMULATOR_POSTGRES_DSN=" + h.stack.PostgresDSN(devstack.SimulatorDatabase),
		"PAYONCE_SIMULATOR_LISTEN=" + listen, "PAYONCE_SIMULATOR_SMTP_LISTEN=" + h.smtp,
		"PAYONCE_SIMULATOR_WEBHOOK_URL=" + webhooks,
		"PAYONCE_ARCHIVE_DIR=" + filepath.Join(h.dir, "archive"),
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.secret)) {
		env = append(env, name+"="+h.secret[name])
	}
	return env
}

// secrets are what must stand in no log and no message, by name.
func (h *house) secrets() map[string]string {
	all := maps.Clone(h.secret)
	if dsn, err := url.Parse(h.stack.PostgresDSN(devstack.MainDatabase)); err == nil { // devstack made it
		all["the services' password"], _ = dsn.User.Password()
	}
	return all
}

func (h *house) migration() proc.Spec {
	spec := h.programs[apis[0]].spec
	spec.Args = []string{"--migrate"}
	return spec
}

// auditor starts an api that has seen no fault and asks without any proxy.
func (h *house) auditor(ctx context.Context) (*program, error) {
	if err := h.add(ctx, "auditor", nil); err != nil {
		return nil, err
	}
	p := h.programs["auditor"]
	p.spec.Path = h.bin("api")
	if _, err := p.launch(); err != nil {
		return nil, err
	}
	return p, untilReady(ctx, time.Minute, p)
}

// close ends everything. It may be called after a start that failed half-way.
func (h *house) close() error {
	h.stop()
	var problems []error
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, p := range h.programs {
		all.Go(func() {
			err := p.retire(5 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, err)
		})
	}
	all.Wait()
	h.keepers.Wait()
	h.net.close()
	if h.front != nil {
		problems = append(problems, h.front.close())
	}
	for _, db := range []*postgres.DB{h.db, h.world} {
		if db != nil {
			problems = append(problems, db.Close())
		}
	}
	if h.stack != nil {
		problems = append(problems, h.stack.Close())
	}
	if h.release != nil {
		h.release()
	}
	return errors.Join(problems...)
}
