package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payonce/internal/lab/devstack/proc"
	oncepq "payonce/once/pq"
)

// Stack is a running Postgres and RabbitMQ.
type Stack struct {
	// Postgres and RabbitMQ are nil when the options skip them. In a cluster they
	// are the first of their kind.
	Postgres, RabbitMQ *Service
	// Nodes are all private nodes of RabbitMQ, RabbitMQ among them.
	Nodes []*Service
	// Pair is Postgres and its standby; nil without a cluster.
	Pair *Pair

	dir      string
	options  Options
	postgres *postgres
	brokers  []*rabbitmq // the engines of Nodes
	epmd     *epmd
	release  func() // of the folder's lock; nil while it is not ours
}

// Start brings up both services, at the same time, and returns when both can be
// used and the databases exist. After an error nothing runs. The context bounds
// the start only; the stack runs until Close.
func Start(ctx context.Context, options Options) (*Stack, error) {
	o := options.withDefaults()
	s := &Stack{options: o}
	if o.privatePostgres() || o.privateRabbitMQ() {
		if err := s.prepare(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	} else if err := s.connectExternal(ctx); err != nil {
		return nil, err
	}
	if s.Postgres != nil {
		anywhere := o.PostgresDSN // a given user may not be let into every database
		if anywhere == "" {
			anywhere = s.PostgresDSN("postgres")
		}
		if err := ensureDatabases(ctx, anywhere, o.Databases); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if s.postgres != nil {
		if err := s.handOver(ctx, o.Databases); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// prepare takes the folder, ends what an earlier launcher left in it, and
// starts the private services.
func (s *Stack) prepare(ctx context.Context) error {
	as, err := servant()
	if err != nil {
		return err
	}
	if s.dir, err = place(s.options.Dir, as, s.options.Progress); err != nil {
		return err
	}
	release, err := Lock(filepath.Join(s.dir, "devstack.lock"))
	if err != nil {
		return err
	}
	s.release = release
	if err := endLeftovers(ctx, s.dir); err != nil {
		return err
	}
	if s.options.Scratch || s.options.Fresh {
		if err := s.discard(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "log"), 0o755); err != nil {
		return fmt.Errorf("log folder: %w", err)
	}
	found, err := findPrograms(ctx, s.options, s.dir)
	if err != nil {
		return err
	}
	// The packages may just have brought the user postgres.
	if as, err = servant(); err != nil {
		return err
	}
	if err := s.connectExternal(ctx); err != nil {
		return err
	}
	password, err := keptPassword(filepath.Join(s.dir, "password"))
	if err != nil {
		return err
	}
	return s.launch(ctx, found, as, password)
}

// launch starts the private services. A port that was free a moment ago may be
// taken now, by another stack that started in the same second: then new ports
// are chosen.
func (s *Stack) launch(ctx context.Context, found programs, as *proc.User, password string) error {
	for try := 1; ; try++ {
		chosen, err := choosePorts(ctx, s.dir, s.options.Cluster)
		if err != nil {
			return err
		}
		if s.options.privatePostgres() {
			s.postgres = &postgres{
				bin: found.postgresBin, dir: s.dir, place: "postgres", as: as,
				port: chosen.Postgres, password: password, scratch: s.options.Scratch,
			}
			s.Postgres = &Service{Name: s.postgres.place, engine: s.postgres}
			if s.options.Cluster {
				s.Pair = newPair(s.postgres, s.Postgres, chosen.Standby)
			}
		}
		if s.options.privateRabbitMQ() {
			s.nodes(found, chosen, password)
		}
		err = s.startAll(ctx)
		if err == nil {
			return nil
		}
		if again, choiceErr := choosePorts(ctx, s.dir, s.options.Cluster); try == 3 || choiceErr != nil || again == chosen {
			return err
		}
	}
}

// startAll starts what is private, side by side, and stops everything when one
// of them fails.
func (s *Stack) startAll(ctx context.Context) error {
	var starting []func() error
	for i, node := range s.Nodes {
		starting = append(starting, func() error { return s.startOne(ctx, node, s.brokers[i].address()) })
	}
	switch {
	case s.Pair != nil:
		starting = append(starting, func() error { return s.Pair.start(ctx, s.options.Progress) })
	case s.postgres != nil:
		starting = append(starting, func() error { return s.startOne(ctx, s.Postgres, s.postgres.address()) })
	}
	results := make(chan error, len(starting))
	for _, start := range starting {
		go func() { results <- start() }()
	}
	var problems []error
	for range starting {
		problems = append(problems, <-results)
	}
	err := errors.Join(problems...)
	if err == nil {
		err = s.together(ctx)
	}
	if err != nil {
		return errors.Join(err, s.stopAll())
	}
	return nil
}

func (s *Stack) startOne(ctx context.Context, service *Service, address string) error {
	began := time.Now()
	if err := service.Start(ctx); err != nil {
		return err
	}
	s.options.Progress(started(service, address, began))
	return nil
}

func started(service *Service, address string, began time.Time) string {
	return fmt.Sprintf("%-9s  ready on %s, pid %d, after %.1f s", service.Name, address, service.Pid(), time.Since(began).Seconds())
}

// connectExternal looks whether the services that were named can be reached.
func (s *Stack) connectExternal(ctx context.Context) error {
	o := s.options
	if o.PostgresDSN != "" && !o.SkipPostgres {
		if _, err := url.Parse(o.PostgresDSN); err != nil || !strings.Contains(o.PostgresDSN, "://") {
			return errors.New("the Postgres DSN must be a URL: postgres://user:password@host:port/database")
		}
		// The programs are given this one, and this is what they take.
		if _, err := oncepq.Connector(oncepq.Config{DSN: o.PostgresDSN}); err != nil {
			return fmt.Errorf("the given Postgres: %w", err)
		}
		if err := ping(ctx, o.PostgresDSN); err != nil {
			return fmt.Errorf("the given Postgres: %w", err)
		}
		s.Postgres = &Service{Name: "postgres"}
		o.Progress("postgres   the given one is used")
	}
	if o.AMQPURL != "" && !o.SkipRabbitMQ {
		if err := anyGreets(ctx, strings.Split(o.AMQPURL, ",")); err != nil {
			return err
		}
		s.RabbitMQ = &Service{Name: "rabbitmq"}
		o.Progress("rabbitmq   the given one is used")
	}
	return nil
}

// PostgresDSN addresses one database as the superuser payonce, which no program of the
// shop is, in a cluster the primary of the two; on a Postgres that was given, as the
// user that was given.
func (s *Stack) PostgresDSN(database string) string {
	if s.Pair != nil {
		return s.Pair.dsn(database)
	}
	if s.postgres != nil {
		return s.postgres.dsn(database)
	}
	given, err := url.Parse(s.options.PostgresDSN)
	if err != nil {
		return s.options.PostgresDSN // Start has parsed it: cannot happen
	}
	given.Path = "/" + database
	return given.String()
}

// AMQPURL addresses one virtual host, in a cluster by all nodes, separated by
// commas; "/" is the one that always exists.
func (s *Stack) AMQPURL(vhost string) string {
	if len(s.brokers) > 0 {
		nodes := make([]string, len(s.brokers))
		for i, node := range s.brokers {
			nodes[i] = node.url(vhost)
		}
		return strings.Join(nodes, ",")
	}
	if vhost == "/" {
		return s.options.AMQPURL // "/" means: where the given URLs lead
	}
	nodes := strings.Split(s.options.AMQPURL, ",")
	for i, node := range nodes {
		if given, err := url.Parse(node); err == nil { // Start has parsed it
			given.Path, given.RawPath = "/"+vhost, "/"+url.PathEscape(vhost)
			nodes[i] = given.String()
		}
	}
	return strings.Join(nodes, ",")
}

// anyGreets asks the nodes of a cluster in turn: one that answers is enough.
func anyGreets(ctx context.Context, nodes []string) (err error) {
	for _, node := range nodes {
		target, wrong := url.Parse(node)
		if wrong != nil || target.Host == "" {
			return errors.New("the AMQP URL must look like amqp://user:password@host:port/vhost, several of them separated by commas")
		}
		address := target.Host
		if target.Port() == "" {
			address = net.JoinHostPort(target.Hostname(), "5672")
		}
		if target.Scheme != "amqp" { // over TLS the first connection will tell
			return nil
		}
		if err = greets(ctx, address); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the given RabbitMQ: %w", err)
}

// BrokerAPI is the URL, with credentials, under which PUT and DELETE
// /api/vhosts/{name} make and delete virtual hosts; empty unless asked for.
func (s *Stack) BrokerAPI() string {
	if len(s.brokers) == 0 || !s.options.BrokerAPI {
		return ""
	}
	return s.brokers[0].apiURL()
}

// Dir is the folder that holds the data; as root it may not be the one asked for.
func (s *Stack) Dir() string { return s.dir }

// Marker is an environment variable for processes that use the stack and should
// be ended with it when a launcher crashed: the next Start looks for it.
func (s *Stack) Marker() string { return marker + "=" + s.dir }

// Close stops both services at the same time and gives the folder back. Nothing
// of them runs or listens afterwards. It may be called twice.
func (s *Stack) Close() error {
	err := s.stopAll()
	if s.release == nil {
		return err
	}
	if s.options.Scratch {
		err = errors.Join(err, s.discard(), os.RemoveAll(filepath.Join(s.dir, "log")))
	}
	s.release()
	s.release = nil
	return err
}

func (s *Stack) stopAll() error {
	// Whoever closes is often being cancelled; stopping must go on all the same.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	services := s.private()
	results := make(chan error, len(services))
	for _, service := range services {
		go func() { results <- service.Stop(ctx) }()
	}
	var problems []error
	for range services {
		problems = append(problems, <-results)
	}
	if s.epmd != nil {
		problems = append(problems, s.epmd.stop(ctx)) // a node that misses it would start one of its own
	}
	return errors.Join(problems...)
}

func (s *Stack) private() []*Service {
	var services []*Service
	if s.Postgres != nil && !s.Postgres.External() {
		services = append(services, s.Postgres)
	}
	if s.Pair != nil {
		services = append(services, s.Pair.other(s.Postgres))
	}
	return append(services, s.Nodes...)
}

// discard removes all data but not the lock, which this process holds.
func (s *Stack) discard() error {
	for _, name := range []string{"postgres", "standby", "primary", "rabbitmq", "ports.json", "password"} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("discard: %w", err)
		}
	}
	return nil
}

// keptPassword reads the password that the first start made up.
func keptPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return password, nil
}
