package checkout

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
	"payonce/once/call"
	"payonce/once/idempotency"
)

// Config is what a [Service] needs.
type Config struct {
	DB       *postgres.DB
	Keys     *idempotency.Keys
	Provider provider.Charger
	Render   Renderer
	Observer observe.Observer
	// Wake hurries the relay; it is called after commits and must not block.
	Wake func()
	Log  *slog.Logger
	Now  func() time.Time
	// Folded has each of a capture's two transactions done by one statement (folded.go),
	// which is the same and costs one round trip; otherwise statement by statement, as
	// capture.go reads. The processes of one database are alike in this: one form locks
	// the key first, the other the payment.
	Folded bool

	ProviderDeadline time.Duration // how long one charge may take
	Finalise         time.Duration // how long storing an outcome may take
	Lease            time.Duration // how long an attempt belongs to its holder
	Wait             time.Duration // how long a duplicate waits unless it says
	MaxWait          time.Duration
	// GiveUp is the age from which an attempt that the provider never heard of
	// is cancelled instead of sent again. 0 means ten minutes.
	GiveUp time.Duration
	// Leaving is closed when the process has been asked to end: from then on no
	// delivery waits for its twin. Nil is never.
	Leaving <-chan struct{}
	// Doubt is the schedule of questions about an attempt in doubt; its last
	// delay repeats.
	Doubt []time.Duration
}

// Schedules of questions about an attempt in doubt.
var (
	DoubtProduction = []time.Duration{1 * time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}
	DoubtDemo       = []time.Duration{1 * time.Second, 1 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}
)

// KeyTable is the shop's table of idempotency keys: a key belongs to a merchant.
var KeyTable = idempotency.Table{Scope: "merchant_id"}

// Service is the checkout.
type Service struct {
	Config
	flights idempotency.Flights
	// self names this process as the holder of attempts.
	self uuid.UUID
	// silent says that the provider did not answer the last question.
	silent atomic.Bool
	doubts doubts
	calls  *call.Runner[attempt, outcome]
}

// New makes a Service; missing parts of cfg get their defaults.
func New(cfg Config) *Service {
	if cfg.Observer == nil {
		cfg.Observer = observe.Nobody{}
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	set := func(d *time.Duration, byDefault time.Duration) {
		if *d == 0 {
			*d = byDefault
		}
	}
	set(&cfg.ProviderDeadline, 4*time.Second)
	set(&cfg.Finalise, 5*time.Second)
	set(&cfg.Lease, 15*time.Second)
	set(&cfg.Wait, 5*time.Second)
	set(&cfg.MaxWait, 30*time.Second)
	set(&cfg.GiveUp, 10*time.Minute)
	if len(cfg.Doubt) == 0 {
		cfg.Doubt = DoubtProduction
	}
	s := &Service{Config: cfg, self: uuid.New()}
	s.calls = s.protocol()
	return s
}

func (s *Service) tell(ctx context.Context, kind observe.Kind, e observe.Event) {
	e.Kind = kind
	if e.Node == "" {
		e.Node = "api"
	}
	if e.At.IsZero() {
		e.At = s.Now()
	}
	s.Observer.Observe(ctx, e)
}

// Doubt returns the schedule of questions by the schedule's name.
func Doubt(schedule string) []time.Duration {
	if schedule == "demo" {
		return DoubtDemo
	}
	return DoubtProduction
}
