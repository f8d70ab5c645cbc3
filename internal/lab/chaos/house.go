package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/program"
	"payonce/internal/platform/postgres"
)

const simulator = "simulator"

// house is everything that runs in a campaign.
type house struct {
	dir   string // data and logs
	bin   string // the programs
	stack *devstack.Stack
	net   *network
	front *front
	db    *postgres.DB
	world *postgres.DB // the simulator's own

	programs map[string]*part
	order    []string

	simulatorURL, smtp string
	apiURL             map[string]string
	secret             map[string]string
	amqpURL            string

	keepers sync.WaitGroup
	stop    context.CancelFunc
	release func() // of the folder's lock
	hand    *handbook
}

// open builds the programs, starts the services and raises the house. After an
// error nothing runs.
func open(ctx context.Context, o Options) (*house, error) {
	h := &house{
		dir: o.Dir, net: newNetwork(), hand: newHandbook(), programs: map[string]*part{}, apiURL: map[string]string{},
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
	h.stack, err = devstack.Start(ctx, devstack.Options{Dir: h.dir, Fresh: true, Progress: o.Say, Cluster: o.Cluster})
	if err != nil {
		return err
	}
	h.keepStack(keeping, o.Say)
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
	if err := h.settings().Migrate(ctx, h.stack.OwnerDSN(devstack.MainDatabase)); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	for _, name := range h.order {
		p := h.programs[name]
		process, err := p.launch()
		if err != nil {
			return err
		}
		h.keepers.Go(func() { p.keep(keeping, process) })
		if name == simulator {
			if err := program.UntilReady(ctx, time.Minute, p.Program); err != nil {
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
	all := make([]*program.Program, 0, len(h.programs))
	for _, p := range h.programs {
		all = append(all, p.Program)
	}
	return program.UntilReady(ctx, 2*time.Minute, all...)
}

// keepStack starts again what dies of the services. When a primary with a standby
// does, that takes over.
func (h *house) keepStack(ctx context.Context, say func(string)) {
	for _, node := range h.stack.Nodes {
		h.keepers.Go(func() { keepService(ctx, node, say) })
	}
	if h.stack.Pair == nil {
		h.keepers.Go(func() { keepService(ctx, h.stack.Postgres, say) })
		return
	}
	h.keepers.Go(func() {
		h.stack.Pair.Keep(ctx, devstack.PairKeeper{
			Failed: func(role string, err error) { say(fmt.Sprintf("%s does not start, trying again: %v", role, err)) },
		})
	})
}

// keepService starts a service again whenever it ends.
func keepService(ctx context.Context, service *devstack.Service, say func(string)) {
	program.Keeper{
		Pause: 10 * time.Millisecond, Longest: time.Second,
		Failed: func(err error) { say(fmt.Sprintf("%s does not start, trying again: %v", service.Name, err)) },
	}.Keep(ctx, service.Process(), service.Again)
}

// build makes the programs, unless there are some.
func (h *house) build(ctx context.Context) error {
	if h.bin = program.Made(); h.bin != "" {
		return nil
	}
	h.bin = filepath.Join(h.dir, "bin")
	return program.Builds{Dir: h.bin, Tags: "lab"}.Make(ctx)
}

// addresses chooses where everybody listens, once: who is killed comes back
// where it was.
func (h *house) addresses(ctx context.Context) error {
	world, err := devstack.FreeAddress(ctx)
	if err != nil {
		return err
	}
	if h.smtp, err = devstack.FreeAddress(ctx); err != nil {
		return err
	}
	h.simulatorURL = "http://" + world
	services := map[string]string{
		"postgres": h.stack.ProgramDSN(devstack.MainDatabase), "rabbitmq": h.amqpURL, "provider": h.simulatorURL,
	}
	linked := map[string]string{}
	for _, name := range links {
		_, service, _ := strings.Cut(name, ">")
		if linked[name], err = h.link(ctx, name, service, services[service]); err != nil {
			return err
		}
	}
	for _, name := range apis {
		if err := h.add(ctx, name, linked); err != nil {
			return err
		}
		h.apiURL[name] = h.programs[name].URL
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

// link puts proxies before all servers of a service.
func (h *house) link(ctx context.Context, name, service, target string) (string, error) {
	if h.stack.Pair == nil || service != "postgres" {
		return h.net.link(ctx, name, target)
	}
	var either []string
	for _, server := range h.stack.Pair.Addresses() {
		proxied, err := h.net.before(ctx, name, server)
		if err != nil {
			return "", err
		}
		either = append(either, proxied)
	}
	return devstack.RoleDSN(h.stack.Pair.Through(devstack.MainDatabase, either), postgres.ProgramRole), nil
}

// add describes one program: its place and what it is told.
func (h *house) add(ctx context.Context, name string, linked map[string]string) error {
	listen, ready := strings.TrimPrefix(h.simulatorURL, "http://"), "/healthz"
	if name != simulator {
		ready = "/readyz"
		var err error
		if listen, err = devstack.FreeAddress(ctx); err != nil {
			return err
		}
	}
	binary, _, _ := strings.Cut(name, "-")
	if name == auditing {
		binary = "api"
	}
	settings := h.settings()
	settings.Listen, settings.PublicURL = listen, "http://"+listen
	settings.AMQPURL, settings.Provider = linked[binary+">rabbitmq"], linked[binary+">provider"]
	if dsn := linked[binary+">postgres"]; dsn != "" {
		settings.PostgresDSN = dsn
	}
	if h.front != nil {
		settings.Webhooks = h.front.url + "/v1/webhooks/provider"
	}
	spec := settings.Spec(binary, listen, "PAYONCE_ARCHIVE_DIR="+filepath.Join(h.dir, "archive"), "PAYONCE_RECONCILE=10s")
	spec.Name, spec.LogFile = name, filepath.Join(h.dir, "log", name+".log")
	h.programs[name] = &part{Program: program.New(spec, "http://"+listen, ready), logFile: spec.LogFile, deaths: map[string]int{}}
	return nil
}

func (h *house) settings() program.Settings {
	return program.Settings{
		Bin: h.bin, Dir: h.dir, Marker: h.stack.Marker(), Schedule: "demo",
		PostgresDSN: h.stack.ProgramDSN(devstack.MainDatabase), SimulatorDSN: h.stack.OwnerDSN(devstack.SimulatorDatabase),
		Simulator: strings.TrimPrefix(h.simulatorURL, "http://"), SMTP: h.smtp, Secrets: h.secret,
	}
}

// secrets are what must stand in no log and no message, by name.
func (h *house) secrets() map[string]string {
	all := maps.Clone(h.secret)
	for whose, text := range map[string]string{
		"the services' password": h.stack.PostgresDSN(devstack.MainDatabase), "the owner's password": h.stack.OwnerDSN(devstack.MainDatabase),
		"the programs' password": h.stack.ProgramDSN(devstack.MainDatabase), "the readers' password": h.stack.ReaderDSN(devstack.MainDatabase),
		"the simulator's password": h.stack.OwnerDSN(devstack.SimulatorDatabase),
	} {
		if dsn, err := url.Parse(text); err == nil { // devstack made it
			all[whose], _ = dsn.User.Password()
		}
	}
	return all
}

// auditing is the name of the api that has seen no fault.
const auditing = "auditor"

// auditor starts an api that has seen no fault and asks without any proxy.
func (h *house) auditor(ctx context.Context) (*part, error) {
	if err := h.add(ctx, auditing, nil); err != nil {
		return nil, err
	}
	p := h.programs[auditing]
	_, err := p.Start(ctx)
	return p, err
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
