// Package config holds one struct per process. A struct is its process's help
// text, flags and environment at once: every setting can be given as
// PAYONCE_<NAME> or as --<name>, and --help lists each with its default.
//
// Mistakes are reported all together, each with its remedy, before anything
// starts.
package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Modes a process can run in.
const (
	Sandbox    = "sandbox"
	Production = "production"
)

// DefaultSecret is what a sandbox uses when nothing is given; production
// refuses it.
const DefaultSecret = "payonce-sandbox-secret-not-for-production" //nolint:gosec // refused in production, and named for what it is

// Base is what every process needs.
type Base struct {
	Mode      string `help:"sandbox, or production, which refuses default secrets, the simulated provider and lab builds." enum:"sandbox,production" default:"sandbox" env:"PAYONCE_MODE"`
	Schedule  string `help:"Retry schedule: production, or demo, which shortens every delay so that a visitor sees it." enum:"production,demo" default:"production" env:"PAYONCE_SCHEDULE"`
	LogFormat string `help:"Log format: json, text, or auto (text on a terminal)." enum:"auto,text,json" default:"auto" env:"PAYONCE_LOG_FORMAT"`
	LogLevel  string `help:"Least important level that is logged." enum:"debug,info,warn,error" default:"info" env:"PAYONCE_LOG_LEVEL"`

	PostgresDSN string `help:"The shop's database; several hosts are allowed, with target_session_attrs=read-write." required:"" env:"PAYONCE_POSTGRES_DSN" placeholder:"postgres://user:password@host/db"`
	PoolSize    int    `help:"Connections to Postgres; more callers queue in the process." default:"16" env:"PAYONCE_POOL_SIZE"`

	AdminListen string `help:"Where /healthz, /readyz and /metrics are served; the api's default build has its metrics only here." default:"127.0.0.1:0" env:"PAYONCE_ADMIN_LISTEN"`

	Journal string `help:"What is written down for people: all, attempts (the live view stands still) or off. Above 200 stories a second the picture shows a part of them." enum:"off,attempts,all" default:"all" env:"PAYONCE_JOURNAL"`

	Drain time.Duration `help:"How long a process may take to finish what it has begun after SIGTERM." default:"20s" env:"PAYONCE_DRAIN"`
	// Faults arms crash points; only lab builds listen to it.
	Faults string `help:"Lab builds only: crash points to arm, point:action[:nth[:id]], comma separated; actions: kill, stop, panic, error, delay." env:"PAYONCE_FAULTS"`
}

// DefaultWebhookSecret is what a sandbox's provider signs with when nothing is
// given; production refuses it.
const DefaultWebhookSecret = "whsec_cGF5b25jZSBzYW5kYm94LCBub3QgZm9yIHByb2R1Y3Rpb24=" //nolint:gosec // refused in production

// Broker is what a process needs that talks to RabbitMQ.
type Broker struct {
	AMQPURL []string `name:"amqp-url" help:"RabbitMQ nodes, tried in turn." required:"" env:"PAYONCE_AMQP_URL" sep:"," placeholder:"amqp://user:password@host/vhost"`
}

// Provider is what a process needs that talks to the card provider.
type Provider struct {
	ProviderURL string `help:"The card provider's API." required:"" env:"PAYONCE_PROVIDER_URL" placeholder:"http://host:port"`
	ProviderKey string `help:"The shop's key at the provider." default:"sk_provider_sandbox" env:"PAYONCE_PROVIDER_KEY"`
}

// Windows are the deadlines and lifetimes that processes share; they only make
// sense together, so they stand in one struct and are checked against each
// other at start. So does the form of a capture.
type Windows struct {
	ProviderDeadline time.Duration `help:"How long one capture may wait for the provider." default:"4s" env:"PAYONCE_PROVIDER_DEADLINE"`
	ProviderConnect  time.Duration `help:"How long connecting to the provider may take." default:"1s" env:"PAYONCE_PROVIDER_CONNECT"`
	Finalise         time.Duration `help:"How long storing an outcome may take, after the client may have gone." default:"5s" env:"PAYONCE_FINALISE"`
	Lease            time.Duration `help:"How long a running key belongs to its holder." default:"15s" env:"PAYONCE_LEASE"`
	Sweep            time.Duration `help:"How often unfinished attempts are looked for." default:"2s" env:"PAYONCE_SWEEP"`
	Wait             time.Duration `help:"How long a duplicate waits for its twin unless it says Prefer: wait=N." default:"5s" env:"PAYONCE_WAIT"`
	MaxWait          time.Duration `help:"The longest wait a client may ask for." default:"30s" env:"PAYONCE_MAX_WAIT"`
	KeyTTL           time.Duration `help:"How long an idempotency key and its answer are kept." default:"72h" env:"PAYONCE_KEY_TTL"`
	CaptureForm      string        `help:"How a capture writes: folded, each of its two transactions one statement, or steps, statement by statement. Alike in all processes of a database, which lock in different orders." enum:"folded,steps" default:"folded" env:"PAYONCE_CAPTURE_FORM"`
}

// Folded says whether a capture writes one statement a transaction.
func (w Windows) Folded() bool { return w.CaptureForm != "steps" }

// Retention is how long rows live that guard against their duplicates. Every
// process compares them with each other at start; the worker removes what is
// over.
type Retention struct {
	RetainOutbox   time.Duration `help:"How long a published event stays in the outbox." default:"168h" env:"PAYONCE_RETAIN_OUTBOX"`
	RetainInbox    time.Duration `help:"How long a consumer remembers an event: the dedupe window." default:"720h" env:"PAYONCE_RETAIN_INBOX"`
	RetainReceipts time.Duration `help:"How long the receipt of a webhook is kept." default:"720h" env:"PAYONCE_RETAIN_RECEIPTS"`
	RetainLetters  time.Duration `help:"How long a dead letter stays readable after it was closed; open ones never expire." default:"2160h" env:"PAYONCE_RETAIN_LETTERS"`
	RetainAttempts time.Duration `help:"How long the attempts of clients are kept." default:"720h" env:"PAYONCE_RETAIN_ATTEMPTS"`
	ReplayLimit    time.Duration `help:"How old an event may be, by its own time, when a person replays its dead letter." default:"336h" env:"PAYONCE_REPLAY_LIMIT"`
	OutboxAlarm    time.Duration `help:"The age at which an unpublished event alarms." default:"1h" env:"PAYONCE_OUTBOX_ALARM"`
}

// API is the configuration of cmd/api.
type API struct {
	Base
	Provider
	Windows
	Retention
	Doors
	Notice        time.Duration `help:"How long the api still serves after SIGTERM while /readyz already says no, so that a load balancer learns it before the door is shut; twice its probe interval." default:"0s" env:"PAYONCE_NOTICE"`
	Listen        string        `help:"Where the API and the page are served." default:"127.0.0.1:8080" env:"PAYONCE_LISTEN"`
	PublicURL     string        `help:"How the world reaches this API; used in links." default:"http://127.0.0.1:8080" env:"PAYONCE_PUBLIC_URL"`
	RecordingTTL  time.Duration `help:"How long a run that was shared can be watched." default:"720h" env:"PAYONCE_RECORDING_TTL"`
	Secret        string        `help:"Keys the hashes of requests and the sandboxes' API keys." default:"${default_secret}" env:"PAYONCE_SECRET"`
	OperatorToken string        `help:"Opens what is global to an operator; required in production." env:"PAYONCE_OPERATOR_TOKEN"`
	WebhookSecret []string      `help:"What the provider signs its webhooks with; two while one is replaced by the other." default:"${default_webhook_secret}" env:"PAYONCE_WEBHOOK_SECRET" sep:"," placeholder:"whsec_…"`
	MailboxURL    string        `help:"Lab builds only: the simulator's mailbox, shown beside the shop." env:"PAYONCE_MAILBOX_URL"`
	PartsURL      string        `help:"Lab builds only: where a demo of several nodes tells which parts it has, for the X-ray." env:"PAYONCE_PARTS_URL"`
	NaiveAMQPURL  []string      `name:"naive-amqp-url" help:"Lab builds only: RabbitMQ nodes, where the naive shop publishes by itself; the api needs no broker." env:"PAYONCE_NAIVE_AMQP_URL" sep:"," placeholder:"amqp://user:password@host/vhost"`
	Migrate       bool          `help:"Bring the schema up to date and exit." env:"PAYONCE_MIGRATE"`
}

// Relay is the configuration of cmd/relay.
type Relay struct {
	Base
	Broker
	Retention
	Batch int           `help:"Events fetched, published and marked together." default:"500" env:"PAYONCE_RELAY_BATCH"`
	Poll  time.Duration `help:"How long an event can wait when its wake-up was lost." default:"200ms" env:"PAYONCE_RELAY_POLL"`
}

// Worker is the configuration of cmd/worker.
type Worker struct {
	Base
	Broker
	Provider
	Windows
	Retention
	ArchiveDir string        `help:"Where the ledger's source events are kept before their partition is dropped; empty means that they are not." env:"PAYONCE_ARCHIVE_DIR" placeholder:"folder"`
	Reconcile  time.Duration `help:"How often yesterday's and today's charges and refunds at the provider are compared with ours, by one worker for all." default:"1h" env:"PAYONCE_RECONCILE"`
	PublicURL  string        `help:"How the world reaches the shop; used in mails." default:"http://127.0.0.1:8080" env:"PAYONCE_PUBLIC_URL"`
	Secret     string        `help:"The same secret as the API's." default:"${default_secret}" env:"PAYONCE_SECRET"`
	SMTPAddr   string        `help:"The mail server, host:port." required:"" env:"PAYONCE_SMTP_ADDR" placeholder:"host:port"`
	SMTPTLS    string        `name:"smtp-tls" help:"How the connection to the mail server is protected." enum:"none,starttls,tls" default:"none" env:"PAYONCE_SMTP_TLS"`
	SMTPUser   string        `help:"Account at the mail server, if it wants one." env:"PAYONCE_SMTP_USER"`
	SMTPPass   string        `help:"Password at the mail server." env:"PAYONCE_SMTP_PASSWORD"`
	MailFrom   string        `help:"Sender of every mail." default:"tickets@payonce.example" env:"PAYONCE_MAIL_FROM"`
}

// checker is a configuration that can find its own mistakes.
type checker interface{ check() []error }

// ErrHelp says that --help was answered and the process should end well.
var ErrHelp = errors.New("help was shown")

// Parse reads flags and environment into cfg. Its error names every mistake.
func Parse(name, about string, cfg any, args []string, out io.Writer) error {
	helped := false
	parser, err := kong.New(cfg, kong.Name(name), kong.Description(about), kong.Writers(out, out),
		kong.Vars(Defaults()),
		kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	if helped {
		return ErrHelp
	}
	if err != nil {
		return fmt.Errorf("%s: %w (see %s --help)", name, err, name)
	}
	c, ok := cfg.(checker)
	if !ok {
		return nil
	}
	if mistakes := c.check(); len(mistakes) > 0 {
		return fmt.Errorf("%s cannot start:\n%w", name, errors.Join(mistakes...))
	}
	return nil
}

// MustParse is [Parse] for main: it prints and exits.
func MustParse(name, about string, cfg any) {
	switch err := Parse(name, about, cfg, os.Args[1:], os.Stderr); {
	case errors.Is(err, ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func (c *API) check() []error {
	e := append(c.Base.check(), c.Windows.check()...)
	e = append(e, c.Provider.check(c.Mode)...)
	e = append(e, secret(c.Mode, c.Secret)...)
	e = append(e, httpURL("PAYONCE_PUBLIC_URL", c.PublicURL)...)
	if c.Notice < 0 {
		e = append(e, errors.New("PAYONCE_NOTICE: cannot be negative"))
	}
	if c.RecordingTTL <= 0 {
		e = append(e, fmt.Errorf("PAYONCE_RECORDING_TTL: must be longer than nothing, is %s", c.RecordingTTL))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		e = append(e, fmt.Errorf("PAYONCE_LISTEN: %q is no host:port", c.Listen))
	}
	e = append(e, webhookSecrets(c.Mode, c.WebhookSecret)...)
	e = append(e, c.Doors.check()...)
	if len(c.Public()) > 0 && !Loopback(c.Listen) {
		e = append(e, fmt.Errorf("PAYONCE_LISTEN: %s is not loopback, and everybody knows %s: set your own, for example from `openssl rand -hex 32`, and whsec_ with `openssl rand -base64 32`",
			c.Listen, strings.Join(c.Public(), " and ")))
	}
	if c.Mode == Production && len(c.OperatorToken) < 16 {
		e = append(e, errors.New("PAYONCE_OPERATOR_TOKEN: production needs one of at least 16 characters"))
	}
	return e
}

// Public names the settings whose value stands in the source, so that everybody
// can make a sandbox's key, or speak for the provider.
func (c *API) Public() (names []string) {
	if c.Secret == DefaultSecret {
		names = append(names, "PAYONCE_SECRET")
	}
	if slices.Contains(c.WebhookSecret, DefaultWebhookSecret) {
		names = append(names, "PAYONCE_WEBHOOK_SECRET")
	}
	return names
}

// Loopback says that no other machine reaches an address, host:port.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (c *Relay) check() []error {
	e := c.Base.check()
	if c.Batch < 1 || c.Batch > 10_000 {
		e = append(e, fmt.Errorf("PAYONCE_RELAY_BATCH: must be 1 … 10000, is %d", c.Batch))
	}
	if c.Poll <= 0 {
		e = append(e, errors.New("PAYONCE_RELAY_POLL: must be longer than nothing"))
	}
	return e
}

func (c *Worker) check() []error {
	e := append(c.Base.check(), c.Windows.check()...)
	e = append(e, c.Provider.check(c.Mode)...)
	e = append(e, secret(c.Mode, c.Secret)...)
	e = append(e, httpURL("PAYONCE_PUBLIC_URL", c.PublicURL)...)
	if c.Reconcile <= 0 {
		e = append(e, fmt.Errorf("PAYONCE_RECONCILE: must be longer than nothing, is %s", c.Reconcile))
	}
	if _, _, err := net.SplitHostPort(c.SMTPAddr); err != nil {
		e = append(e, fmt.Errorf("PAYONCE_SMTP_ADDR: %q is no host:port", c.SMTPAddr))
	}
	return e
}

func (b *Base) check() (e []error) {
	if b.PoolSize < 1 {
		e = append(e, fmt.Errorf("PAYONCE_POOL_SIZE: must be at least 1, is %d", b.PoolSize))
	}
	if b.Drain <= 0 {
		e = append(e, errors.New("PAYONCE_DRAIN: must be longer than nothing"))
	}
	return e
}

func (p *Provider) check(mode string) []error {
	e := httpURL("PAYONCE_PROVIDER_URL", p.ProviderURL)
	if mode == Production {
		e = append(e, errors.New("PAYONCE_MODE=production: the only provider adapter so far is the simulated one, which production refuses"))
	}
	return e
}

// check compares the windows with each other: each line is a way to lose the
// promise if it were not so.
func (w *Windows) check() (e []error) {
	for name, d := range map[string]time.Duration{
		"PAYONCE_PROVIDER_DEADLINE": w.ProviderDeadline, "PAYONCE_PROVIDER_CONNECT": w.ProviderConnect, "PAYONCE_FINALISE": w.Finalise,
		"PAYONCE_LEASE": w.Lease, "PAYONCE_SWEEP": w.Sweep, "PAYONCE_WAIT": w.Wait, "PAYONCE_MAX_WAIT": w.MaxWait,
	} {
		if d <= 0 {
			e = append(e, fmt.Errorf("%s: must be longer than nothing, is %s", name, d))
		}
	}
	if w.Lease < w.ProviderDeadline+w.Finalise {
		e = append(e, fmt.Errorf("PAYONCE_LEASE (%s) must be at least PAYONCE_PROVIDER_DEADLINE + PAYONCE_FINALISE (%s): a live holder would lose its key",
			w.Lease, w.ProviderDeadline+w.Finalise))
	}
	if w.ProviderConnect > w.ProviderDeadline {
		e = append(e, fmt.Errorf("PAYONCE_PROVIDER_CONNECT (%s) must not exceed PAYONCE_PROVIDER_DEADLINE (%s)", w.ProviderConnect, w.ProviderDeadline))
	}
	if w.Wait > w.MaxWait {
		e = append(e, fmt.Errorf("PAYONCE_WAIT (%s) must not exceed PAYONCE_MAX_WAIT (%s)", w.Wait, w.MaxWait))
	}
	if w.KeyTTL < 24*time.Hour {
		e = append(e, fmt.Errorf("PAYONCE_KEY_TTL (%s) must be at least 24h, the horizon that clients were promised", w.KeyTTL))
	}
	return e
}

func secret(mode, s string) []error {
	if mode == Production && (s == DefaultSecret || len(s) < 32) {
		return []error{errors.New("PAYONCE_SECRET: production needs one of at least 32 characters, for example from `openssl rand -hex 32`")}
	}
	return nil
}

// webhookSecrets looks at the form only as far as a mistake can be named without
// quoting a secret; package webhook decodes them.
func webhookSecrets(mode string, secrets []string) (e []error) {
	if len(secrets) == 0 {
		e = append(e, errors.New("PAYONCE_WEBHOOK_SECRET: must not be empty, or anybody could speak for the provider"))
	}
	for i, s := range secrets {
		switch {
		case !strings.HasPrefix(s, "whsec_"):
			e = append(e, fmt.Errorf("PAYONCE_WEBHOOK_SECRET: number %d does not begin with whsec_", i+1))
		case mode == Production && s == DefaultWebhookSecret:
			e = append(e, errors.New("PAYONCE_WEBHOOK_SECRET: production needs a secret of its own, for example whsec_ and the output of `openssl rand -base64 32`"))
		}
	}
	return e
}

func httpURL(name, s string) []error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
		return []error{fmt.Errorf("%s: %q is no http(s) URL", name, s)}
	}
	return nil
}
