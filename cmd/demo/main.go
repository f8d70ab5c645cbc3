// Command demo starts everything at once: a private Postgres and RabbitMQ, the
// outside world, and the shop's three processes; and starts again whatever is
// killed. People kill parts of it on purpose and watch it converge.
//
// All data, logs and binaries are kept under one folder, .payonce. While the
// demo is up, run.json in it says where everything is, with the processes'
// present ids, for scripts, browser tests and the workshop.
//
// Every process is a child with a parent-death signal: Ctrl-C stops them in
// order, kill -9 of the demo ends them all, and neither leaves anything that
// runs or listens.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/runfile"
)

// config is flags, environment and help at once.
type config struct {
	Port      int    `help:"Port of the page; 0 is 8080 if that is free, otherwise another." default:"0" env:"PAYONCE_DEMO_PORT"`
	Listen    string `help:"Address of the page; 0.0.0.0 opens it to everybody in the room." default:"127.0.0.1" env:"PAYONCE_DEMO_LISTEN"`
	DataDir   string `help:"Where data, logs, binaries and run.json are kept." default:".payonce" env:"PAYONCE_DATA_DIR"`
	Schedule  string `help:"Retry schedule: demo, short enough to watch, or production." enum:"demo,production" default:"demo" env:"PAYONCE_SCHEDULE"`
	Fresh     bool   `help:"Drop all data first."`
	NoBrowser bool   `help:"Do not open the browser."`
	Bin       string `help:"Folder with api, relay, worker and simulator, built with -tags lab; nothing is built then." placeholder:"DIR"`
	Cluster   bool   `help:"Several of everything: three nodes of RabbitMQ, Postgres with a standby that takes over, two each of api, relay and worker. Their data are kept apart, in the folder cluster of the data folder."`
	Dev       bool   `help:"Serve the page by Vite as well, so that changes in web/ show at once."`

	// The Makefile sets it: make dies by a signal and says nothing to its child.
	StopWithParent bool `hidden:""`
}

const about = `Everything of payonce at once: page, API, relay, worker, a simulated card provider with a mailbox, and a private Postgres and RabbitMQ. Ctrl-C stops it; the data stay for the next time.

With --cluster there are three nodes of RabbitMQ, a Postgres with a standby, and two each of api, relay and worker. All of them can be killed, by hand or on the X-ray; the page is the first api's, and run.json has the address of the second in urls. When the primary of the two Postgres ends, its standby is promoted and the dead one becomes the standby. Some 450 MB more memory, and a start of 25 s.

Services of your own are used when PAYONCE_POSTGRES_DSN and PAYONCE_AMQP_URL name them (and PAYONCE_SIMULATOR_POSTGRES_DSN the simulator's database).`

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("demo"), kong.Description(about), kong.UsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, cfg, say)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func say(line string) { fmt.Println(line) }

// run is the demo's life: prepare, start, supervise until ctx ends, stop.
func run(ctx context.Context, cfg config, say func(string)) (err error) {
	if cfg.StopWithParent {
		if err := proc.StopWithParent(); err != nil {
			return err
		}
	}
	if cfg.DataDir, err = filepath.Abs(cfg.DataDir); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	release, err := take(cfg.DataDir)
	if err != nil {
		return err
	}
	defer release()
	say("payonce demo, everything it makes is in " + cfg.DataDir)

	d, err := prepare(ctx, cfg, say)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	d.welcome()
	<-ctx.Done()
	return nil
}

// unlessStopped forgets the failures of what was interrupted on purpose.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// take makes the data folder ours, or says whose it is.
func take(dir string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	release, err = devstack.Lock(filepath.Join(dir, "demo.lock"))
	if errors.Is(err, devstack.ErrInUse) {
		where := ""
		if running, readErr := runfile.Read(dir); readErr == nil {
			where = " and serves " + running.URL
		}
		return nil, fmt.Errorf("%w: it runs already in %s%s; stop it, or give another --data-dir", err, dir, where)
	}
	if err != nil {
		return nil, err
	}
	// A demo that was killed has left its file behind.
	if err := runfile.Remove(dir); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// address decides where the page listens and how the world calls it.
func address(ctx context.Context, cfg config) (listen, public string, err error) {
	port := cfg.Port
	switch {
	case port == 0 && devstack.PortFree(ctx, cfg.Listen, 8080):
		port = 8080
	case port == 0:
		if port, err = devstack.FreePort(ctx); err != nil {
			return "", "", err
		}
	case !devstack.PortFree(ctx, cfg.Listen, port):
		return "", "", fmt.Errorf("cannot listen on %s, port %d: it is in use, or not an address of this machine; give another --port or --listen", cfg.Listen, port)
	}
	host := cfg.Listen
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = outward()
	}
	return net.JoinHostPort(cfg.Listen, fmt.Sprint(port)), "http://" + net.JoinHostPort(host, fmt.Sprint(port)), nil
}

// outward is an address by which others in the room reach this machine.
func outward() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "127.0.0.1"
}
