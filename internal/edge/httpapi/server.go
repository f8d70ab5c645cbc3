package httpapi

import (
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/journal"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
	"payonce/once/retry"
	"payonce/once/webhook"
)

// Options is everything the edge needs. Required are DB, Checkout, Refunds,
// Keys, Journal, Tail, Audit, Letters and Secret.
type Options struct {
	DB       *postgres.DB
	Checkout *checkout.Service
	Refunds  *refund.Service
	Keys     *idempotency.Keys
	Journal  *journal.Journal
	Tail     *journal.Tail
	Audit    *audit.Auditor
	// Letters is where dead letters are decided about, Wake hurries what a
	// decision sent; nil means that the next poll finds it.
	Letters retry.DeadLetters
	Wake    func()
	// Books and Mailbox count effects outside; nil means nobody can be asked.
	Books   provider.Books
	Mailbox audit.Mailbox

	// Secret is the one all processes share; OperatorToken opens what is global.
	Secret        []byte
	OperatorToken string
	// PublicURL is how browsers reach this process; its origin is trusted.
	PublicURL string
	// Hosts are more names by which this process is reached.
	Hosts []string
	// RecordingTTL is how long a shared run can be watched; 0 means 30 days.
	RecordingTTL time.Duration
	// Production closes global figures to everybody but the operator.
	Production bool

	// Pages is the web UI; Lab the laboratory's routes, nil in a default build.
	Pages fs.FS
	Lab   http.Handler
	// Webhooks proves that a message is the provider's, ReadNotice reads one that
	// is. Without them nothing is received.
	Webhooks   *webhook.Verifier
	ReadNotice func(body []byte) (provider.Notice, error)
	// Ready are the dependencies that readiness asks about.
	Ready    []telemetry.Check
	Registry *prometheus.Registry
	// PublicMetrics serves /metrics beside the pages, for the laboratory.
	PublicMetrics bool
	Limits        Limits
	Log           *slog.Logger
	Now           func() time.Time
}

// server answers what the contract asks.
type server struct {
	Options
	tokens    *caller.Tokens
	sandboxes *sandboxes
	contract  *contract
	limits    *limiter
	newcomers *limiter // sandboxes that an address makes
	streams   streaming
	metrics   *metrics
	// refused says seldom that webhooks were refused: anybody can send them.
	refused rate.Sometimes
}

var _ gen.StrictServerInterface = (*server)(nil)

func init() { gin.SetMode(gin.ReleaseMode) }

// New makes the handler. It panics when the embedded contract is broken, which
// only a build can cause.
func New(o Options) http.Handler {
	s := newServer(o)
	return s.outermost(s.routes())
}

func newServer(o Options) *server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	if o.RecordingTTL == 0 {
		o.RecordingTTL = 30 * 24 * time.Hour
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	o.Limits = o.Limits.withDefaults()
	if u, err := url.Parse(o.PublicURL); err == nil && u.Hostname() != "" {
		o.Hosts = append(slices.Clone(o.Hosts), strings.ToLower(u.Hostname()))
	}
	tokens := caller.NewTokens(o.Secret, o.OperatorToken)
	return &server{
		Options: o, tokens: tokens, sandboxes: newSandboxes(o.DB, tokens, o.Now), contract: mustContract(),
		limits:    newLimiter(o.Limits.PerSecond, o.Limits.Burst, o.Now),
		newcomers: newLimiter(o.Limits.SandboxesPerSecond, o.Limits.SandboxBurst, o.Now),
		streams:   streaming{limit: o.Limits.Streams}, metrics: newMetrics(o.Registry), refused: rate.Sometimes{Interval: time.Second},
	}
}

// routes mounts everything. The groups differ in who may ask. first sees what the
// contract describes before all else.
func (s *server) routes(first ...gin.HandlerFunc) *gin.Engine {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	// A key in a path may hold an encoded slash.
	e.UseRawPath, e.UnescapePathValues = true, true
	// Without this gin's context has no Done; see detach.
	e.ContextWithFallback = true
	s.believe(e)
	e.Use(s.identify, s.recovered, s.named)
	e.NoMethod(s.noMethod)
	e.NoRoute(s.noRoute)

	described := e.Group("", first...)
	described.Use(s.describe, s.counted, s.sized, s.signed, s.typed, s.authenticate, s.limit, s.noteAttempt, s.keyed, s.valid, s.existing)
	strict := gen.NewStrictHandlerWithOptions(s, nil, gen.StrictGinServerOptions{
		RequestErrorHandlerFunc: func(c *gin.Context, err error) { s.refuse(c, invalid(err)) },
		HandlerErrorFunc:        s.refuse, ResponseErrorHandlerFunc: s.broken,
	})
	gen.RegisterHandlersWithOptions(described, strict, gen.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.refuse(c, invalid(err)) },
	})
	if s.Lab != nil {
		e.Any("/v1/lab/*path", s.counted, s.homely, s.sized, s.authenticate, s.limit, func(c *gin.Context) { s.Lab.ServeHTTP(c.Writer, c.Request) })
	}
	s.mountReference(e)
	if s.PublicMetrics {
		e.GET("/metrics", s.metrics.handler(s.Registry))
	}
	return e
}

// believe has gin take the word of our own proxies for a client's address, and no
// other's.
func (s *server) believe(e *gin.Engine) {
	networks := make([]string, 0, len(s.Limits.Proxies))
	for _, n := range s.Limits.Proxies {
		networks = append(networks, n.String())
	}
	if err := e.SetTrustedProxies(networks); err != nil {
		panic(err) // networks were parsed
	}
	e.RemoteIPHeaders = []string{"X-Forwarded-For"}
}
