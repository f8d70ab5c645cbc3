package devstack

import (
	"errors"
	"os"
)

// The two databases of the demo: the shop's, and the outside world's, which
// nothing in the shop reads.
const (
	MainDatabase      = "payonce"
	SimulatorDatabase = "simulator"
)

// DefaultDir is where the demo keeps everything that it makes.
const DefaultDir = ".payonce"

// Reasons why no stack was started.
var (
	// ErrInUse: another launcher runs a stack in this folder.
	ErrInUse = errors.New("the data folder is in use by another launcher")
	// ErrUnsupported: this system has no private services.
	ErrUnsupported = errors.New("a private Postgres and RabbitMQ run on Linux only: set PAYONCE_POSTGRES_DSN and PAYONCE_AMQP_URL, or use `docker compose up`")
	// ErrMissing: programs are missing and could not be installed; the message
	// says what to install.
	ErrMissing = errors.New("programs are missing")
)

// Options say where and how the services run. The zero value is the demo's.
type Options struct {
	// Dir holds data, logs, ports and passwords. Default DefaultDir.
	Dir string
	// PostgresDSN and AMQPURL name services that run already; they are used
	// instead of private ones. The DSN must be a URL.
	PostgresDSN, AMQPURL string
	// SkipPostgres and SkipRabbitMQ leave one of the two out.
	SkipPostgres, SkipRabbitMQ bool
	// Databases are made when they do not exist. Default: both of the demo.
	Databases []string
	// Fresh empties the folder first; what was given is not touched.
	Fresh bool
	// Scratch is for tests: the folder is emptied first and last, nothing is
	// synced to disk, and stopping does not wait for tidiness.
	Scratch bool
	// BrokerAPI opens the part of RabbitMQ's HTTP API that makes and deletes
	// virtual hosts, without its management plugin; see Stack.BrokerAPI.
	BrokerAPI bool
	// Cluster starts three nodes of RabbitMQ, and a Postgres with a standby that its
	// commits wait for; see Stack.Nodes and Stack.Pair.
	Cluster bool
	// Progress is told what happens, one line each, by several goroutines.
	// Default: nobody.
	Progress func(line string)
}

// External fills PostgresDSN and AMQPURL from PAYONCE_POSTGRES_DSN and
// PAYONCE_AMQP_URL.
func (o Options) External() Options {
	o.PostgresDSN = os.Getenv("PAYONCE_POSTGRES_DSN")
	o.AMQPURL = os.Getenv("PAYONCE_AMQP_URL")
	return o
}

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Databases == nil {
		o.Databases = []string{MainDatabase, SimulatorDatabase}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

func (o Options) privatePostgres() bool { return !o.SkipPostgres && o.PostgresDSN == "" }
func (o Options) privateRabbitMQ() bool { return !o.SkipRabbitMQ && o.AMQPURL == "" }
