package devstack

import (
	"context"
	_ "embed" // brokerapi.erl
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// brokerAPI is Erlang that the broker evaluates when Options.BrokerAPI is set.
//
//go:embed brokerapi.erl
var brokerAPI string

// rabbitmq is the engine of a private RabbitMQ: the Erlang VM, and the epmd that
// knows its name. The nodes of a cluster have one epmd.
type rabbitmq struct {
	server   string // the package's own start script
	node     string // its name among Erlang's nodes
	place    string // its folder below the stack's
	name     string // of its log
	cluster  []string
	dir      string // the stack's folder
	ports    brokerPorts
	password string
	scratch  bool
	api      bool
	epmd     *epmd
	late     int // how often in a row it was not back in time
}

func (r *rabbitmq) home() string { return filepath.Join(r.dir, r.place) }
func (r *rabbitmq) log() string  { return filepath.Join(r.dir, "log", r.name+".log") }

func (r *rabbitmq) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.ports.AMQP))
}

// url addresses a virtual host; the path of "/" is "/%2F".
func (r *rabbitmq) url(vhost string) string {
	return fmt.Sprintf("amqp://%s@%s/%s", url.UserPassword(superuser, r.password), r.address(), url.PathEscape(vhost))
}

func (r *rabbitmq) launch(ctx context.Context) (*proc.Process, error) {
	_, err := os.Stat(filepath.Join(r.home(), "mnesia"))
	returns := err == nil
	if err := r.configure(); err != nil {
		return nil, err
	}
	if err := r.epmd.start(ctx); err != nil {
		return nil, err
	}
	spec := proc.Spec{
		Name: "rabbitmq", Path: r.server, Env: r.environment(), Dir: r.home(),
		LogFile: r.log(),
	}
	if r.api {
		spec.Args = []string{"-eval", fmt.Sprintf("file:eval(%q).", filepath.Join(r.home(), "brokerapi.erl"))}
	}
	process, err := proc.Start(spec)
	if err != nil {
		return nil, errors.Join(err, r.sweep(ctx))
	}
	// Six seconds on an idle machine, many times that on a busy one: 130 s were seen where
	// starting a process costs four milliseconds and five brokers started together.
	limit := 5 * time.Minute
	if r.cluster != nil && returns {
		// A node that comes back may wait for a lock that one of the others holds for
		// it from before; started once more, it does not (seen with 3.10). But on a
		// busy machine two that are each given up after a minute never meet: so each
		// time a minute more.
		limit = time.Duration(1+min(r.late, 4)) * time.Minute
	}
	if err := process.UntilReady(ctx, limit, r.greets); err != nil {
		r.late++
		return nil, errors.Join(err, r.sweep(ctx))
	}
	r.late = 0
	return process, nil
}

// configure writes the whole configuration anew at each start. The default user
// is only made by the first one; its password never changes.
func (r *rabbitmq) configure() error {
	if err := os.MkdirAll(r.home(), 0o700); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	conf := fmt.Sprintf(`listeners.tcp.1 = %s
default_user = %s
default_pass = %s
raft.wal_max_size_bytes = %d
`, r.address(), superuser, r.password, 32<<20)
	advanced := "[].\n"
	if r.cluster != nil {
		conf, advanced = conf+r.clustered(), patience
	}
	for name, text := range map[string]string{
		"rabbitmq.conf": conf, "advanced.config": advanced, "enabled_plugins": "[].\n", "env.conf": "",
		"brokerapi.erl": brokerAPI,
	} {
		if err := os.WriteFile(filepath.Join(r.home(), name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("configure: %w", err)
		}
	}
	return nil
}

func (r *rabbitmq) environment() []string {
	in := func(name string) string { return filepath.Join(r.home(), name) }
	return append(environment(r.home()),
		"HOME="+r.epmd.home, // of all nodes together: there is the cookie
		"RABBITMQ_NODENAME="+r.node,
		"RABBITMQ_CONFIG_FILE="+in("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+in("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+in("enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE="+in("env.conf"),
		"RABBITMQ_MNESIA_BASE="+in("mnesia"),
		"RABBITMQ_LOG_BASE="+in("log"),
		"RABBITMQ_LOGS=-", // to stdout, which is our log file
		"RABBITMQ_DIST_PORT="+strconv.Itoa(r.ports.Dist),
		"RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD=none", // no spinning while idle
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"ERL_EPMD_PORT="+strconv.Itoa(r.epmd.port),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RUNNING_UNDER_SYSTEMD=true", // the script execs the VM: our direct child
		"PAYONCE_BROKER_API_PORT="+strconv.Itoa(r.ports.BrokerAPI),
		"PAYONCE_BROKER_API_USER="+superuser,
		"PAYONCE_BROKER_API_AUTH="+base64.StdEncoding.EncodeToString([]byte(superuser+":"+r.password)),
	)
}

// greets says whether the broker answers AMQP's protocol header with its
// Connection.Start. It opens its listener last, after recovery.
func (r *rabbitmq) greets(ctx context.Context) error {
	if err := greets(ctx, r.address()); err != nil || !r.api {
		return err
	}
	return accepts(ctx, r.ports.BrokerAPI)
}

// accepts says whether somebody listens on the loopback port.
func accepts(ctx context.Context, port int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	return conn.Close()
}

func greets(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("deadline: %w", err)
		}
	}
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	const methodFrame = 1
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if first[0] != methodFrame {
		return errors.New("the far end does not speak AMQP 0-9-1")
	}
	return nil
}

func (r *rabbitmq) halt(process *proc.Process) error {
	if r.scratch {
		return process.Kill()
	}
	return process.Stop(syscall.SIGTERM, 30*time.Second)
}

// sweep ends the VM's helpers, and an epmd that is its own. It must come after the VM's end, or the
// VM would start an epmd of its own.
func (r *rabbitmq) sweep(ctx context.Context) error { return endLeftovers(ctx, r.home()) }
