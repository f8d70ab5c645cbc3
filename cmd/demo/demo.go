package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/program"
	"payonce/internal/lab/runfile"
	appconfig "payonce/internal/platform/config"
)

// demo is everything that runs.
type demo struct {
	cfg   config
	say   func(string)
	bin   string
	stack *devstack.Stack
	addr  addresses
	kept  secrets

	file       runfile.File
	supervisor *supervisor
	unwatch    context.CancelFunc
}

// addresses are chosen once: a part that is killed comes back where it was.
type addresses struct {
	listen, public  string
	simulator, smtp string
	// api are where the apis listen that are not the first, by name.
	api map[string]string
	// admin are the processes' own doors, for operators: health and metrics.
	admin map[string]string
	dev   string
	parts string // the door of a cluster
}

// prepare builds the programs and starts the services, side by side.
func prepare(ctx context.Context, cfg config, say func(string)) (*demo, error) {
	d := &demo{cfg: cfg, say: say}
	var err error
	if d.kept, err = keptSecrets(cfg.DataDir); err != nil {
		return nil, err
	}
	if d.addr, err = chooseAddresses(ctx, cfg); err != nil {
		return nil, err
	}
	if err := d.buildAndStart(ctx); err != nil {
		return nil, err
	}
	d.file = d.describe()
	d.supervisor = newSupervisor(say)
	d.supervisor.mourn = d.mourn
	return d, nil
}

// buildAndStart gives up the one as soon as the other has failed.
func (d *demo) buildAndStart(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var both sync.WaitGroup
	both.Go(func() {
		var err error
		if d.bin, err = build(ctx, d.cfg, d.say); err != nil {
			cancel(err)
		}
	})
	both.Go(func() {
		options := devstack.Options{Dir: d.cfg.DataDir, Fresh: d.cfg.Fresh, Progress: d.say, Cluster: d.cfg.Cluster}
		if d.cfg.Cluster {
			options.Dir = filepath.Join(d.cfg.DataDir, "cluster")
		}
		var err error
		if d.stack, err = devstack.Start(ctx, options.External()); err != nil {
			cancel(err)
		}
	})
	both.Wait()
	err := context.Cause(ctx) // of two failures the first is the reason
	if err != nil && d.stack != nil {
		err = errors.Join(err, d.stack.Close())
	}
	return err
}

func chooseAddresses(ctx context.Context, cfg config) (a addresses, err error) {
	if a.listen, a.public, err = address(ctx, cfg); err != nil {
		return a, err
	}
	for _, target := range []*string{&a.simulator, &a.smtp, &a.dev, &a.parts} {
		if *target, err = devstack.FreeAddress(ctx); err != nil {
			return a, err
		}
	}
	a.api, a.admin = map[string]string{}, map[string]string{}
	for _, name := range cfg.replicas("api", "relay", "worker") {
		if a.admin[name], err = devstack.FreeAddress(ctx); err != nil {
			return a, err
		}
		if binary(name) != "api" || name == "api" {
			continue
		}
		if a.api[name], err = devstack.FreeAddress(ctx); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (d *demo) describe() runfile.File {
	f := runfile.File{
		URL:           d.addr.public,
		SimulatorURL:  "http://" + d.addr.simulator,
		MailboxURL:    "http://" + d.addr.simulator + "/mailbox",
		PostgresDSN:   os.Getenv("PAYONCE_POSTGRES_DSN"),
		ProgramDSN:    os.Getenv("PAYONCE_POSTGRES_DSN"),
		ReaderDSN:     os.Getenv("PAYONCE_POSTGRES_DSN"),
		SimulatorDSN:  os.Getenv("PAYONCE_SIMULATOR_POSTGRES_DSN"),
		AMQPURL:       d.stack.AMQPURL("/"),
		WebhookSecret: d.kept.WebhookSecret,
		OperatorToken: d.kept.OperatorToken,
		AdminURLs:     map[string]string{},
	}
	for name, address := range d.addr.admin {
		f.AdminURLs[name] = "http://" + address
	}
	if len(d.addr.api) > 0 {
		f.URLs = []string{d.addr.public}
		for _, name := range slices.Sorted(maps.Keys(d.addr.api)) {
			f.URLs = append(f.URLs, "http://"+d.addr.api[name])
		}
	}
	if f.PostgresDSN == "" {
		f.PostgresDSN = d.stack.OwnerDSN(devstack.MainDatabase)
		f.ProgramDSN, f.ReaderDSN = d.stack.ProgramDSN(devstack.MainDatabase), d.stack.ReaderDSN(devstack.MainDatabase)
	}
	if f.SimulatorDSN == "" {
		f.SimulatorDSN = d.stack.OwnerDSN(devstack.SimulatorDatabase)
	}
	if d.cfg.Dev {
		f.DevURL = "http://" + d.addr.dev
	}
	return f
}

// start migrates, then brings up one part after the other: the outside world
// first, so that nobody finds it missing.
func (d *demo) start(ctx context.Context) error {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.unwatch = cancel
	d.superviseStack(watching)
	if err := d.openDoor(watching); err != nil {
		return err
	}
	if err := d.settings().Migrate(ctx, d.file.PostgresDSN); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	programs, err := d.programs()
	if err != nil {
		return err
	}
	for _, p := range programs {
		began := time.Now()
		process, err := p.Start(ctx)
		if err != nil {
			return err
		}
		d.say(fmt.Sprintf("%-9s  ready on %s, pid %d, after %.1f s", p.Name, p.URL, process.Pid(), time.Since(began).Seconds()))
		d.supervisor.watch(watching, part{name: p.Name, start: p.Start}, process)
	}
	if err := d.queuesWritten(ctx); err != nil {
		return err
	}
	d.supervisor.follow(d.pidsChanged)
	return nil
}

func (d *demo) programs() ([]*program.Program, error) {
	all := []*program.Program{d.program("simulator", "http://"+d.addr.simulator, "/healthz")}
	for _, name := range d.cfg.replicas("api", "relay", "worker") {
		url := "http://" + d.addr.admin[name]
		if binary(name) == "api" {
			url = d.urlOf(name)
		}
		all = append(all, d.program(name, url, "/readyz"))
	}
	if !d.cfg.Dev {
		return all, nil
	}
	vite, err := d.vite()
	return append(all, vite), err
}

// urlOf is an api's address on this machine.
func (d *demo) urlOf(name string) string {
	if address, more := d.addr.api[name]; more {
		return "http://" + address
	}
	return d.localURL()
}

// localURL is the page as this machine sees it, wherever it listens.
func (d *demo) localURL() string {
	host, port, err := net.SplitHostPort(d.addr.listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return "http://" + d.addr.listen
	}
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

func (d *demo) settings() program.Settings {
	return program.Settings{
		Bin: d.bin, Dir: d.cfg.DataDir, Marker: d.stack.Marker(), Schedule: d.cfg.Schedule,
		PostgresDSN: d.file.ProgramDSN, ReaderDSN: d.file.ReaderDSN, SimulatorDSN: d.file.SimulatorDSN,
		AMQPURL: d.file.AMQPURL, NaiveAMQPURL: d.file.AMQPURL,
		Simulator: d.addr.simulator, SMTP: d.addr.smtp, Listen: d.addr.listen, PublicURL: d.addr.public, LocalURL: d.localURL(),
		Secrets: map[string]string{
			"PAYONCE_SECRET": d.kept.Secret, "PAYONCE_WEBHOOK_SECRET": d.kept.WebhookSecret, "PAYONCE_OPERATOR_TOKEN": d.kept.OperatorToken,
		},
	}
}

// program is one of ours; a person may set crash points and the log's level for
// all of them.
func (d *demo) program(name, url, ready string) *program.Program {
	settings := d.settings()
	if address, more := d.addr.api[name]; more {
		settings.Listen, settings.PublicURL = address, "http://"+address
	}
	own := program.Inherited("PAYONCE_FAULTS", "PAYONCE_LOG_LEVEL")
	if d.cfg.Cluster {
		own = append(own, "PAYONCE_PARTS_URL=http://"+d.addr.parts)
	}
	if hosts := d.hosts(); hosts != nil {
		own = append(own, "PAYONCE_HOSTS="+strings.Join(hosts, ","))
	}
	spec := settings.Spec(binary(name), d.addr.admin[name], own...)
	spec.Name, spec.LogFile = name, filepath.Join(d.cfg.DataDir, "log", name+".log")
	return program.New(spec, url, ready)
}

// hosts are the names by which others in the room may call this machine, when the
// page is open to them.
func (d *demo) hosts() []string {
	name, err := os.Hostname()
	if err != nil || !d.open() {
		return nil
	}
	name = strings.ToLower(name)
	return []string{name, name + ".local"}
}

// open says that others than this machine reach the page.
func (d *demo) open() bool { return !appconfig.Loopback(d.addr.listen) }

// vite serves web/ from its sources and hands API calls on to the api.
func (d *demo) vite() (*program.Program, error) {
	root, err := program.Root()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(d.addr.dev)
	if err != nil {
		return nil, fmt.Errorf("address of vite: %w", err)
	}
	return program.New(proc.Spec{
		Name: "vite", Path: filepath.Join(root, "web", "node_modules", ".bin", "vite"),
		Args: []string{"--host", host, "--port", port, "--strictPort"},
		Env:  append(os.Environ(), "PAYONCE_URL="+d.localURL(), d.stack.Marker()),
		Dir:  filepath.Join(root, "web"), LogFile: filepath.Join(d.cfg.DataDir, "log", "vite.log"),
	}, "http://"+d.addr.dev, ""), nil
}

// pidsChanged writes run.json, which therefore appears when all is ready.
func (d *demo) pidsChanged(pids map[string]int) {
	d.file.Pids = pids
	if err := d.file.Write(d.cfg.DataDir); err != nil {
		d.say(err.Error())
	}
}

// stop ends everything in the order in which nobody misses anybody: first those
// who take work in, last the services.
func (d *demo) stop() error {
	problems := []error{runfile.Remove(d.cfg.DataDir)}
	d.say("stopping")
	if d.unwatch != nil {
		d.unwatch()
	}
	d.supervisor.watchers.Wait()
	problems = append(problems, runfile.Remove(d.cfg.DataDir)) // a last change may have come in between
	for _, group := range [][]string{append(d.cfg.replicas("api"), "vite"), d.cfg.replicas("relay", "worker"), {"simulator"}} {
		problems = append(problems, d.end(group))
	}
	problems = append(problems, d.stack.Close())
	if err := errors.Join(problems...); err != nil {
		return err
	}
	d.say("stopped; nothing of it runs any more")
	return nil
}

// end stops some parts at the same time. They have the time that they promise
// to need, and a little more.
func (d *demo) end(names []string) error {
	var all sync.WaitGroup
	problems := make([]error, len(names))
	for i, name := range names {
		if process := d.supervisor.process(name); process != nil {
			all.Go(func() { problems[i] = process.Stop(syscall.SIGTERM, 22*time.Second) })
		}
	}
	all.Wait()
	return errors.Join(problems...)
}
