package outbox

import (
	"context"
	"log/slog"
	"time"

	"payonce/internal/platform/postgres"
)

// channel is what the relay listens on.
const channel = "payonce_outbox"

// Waker tells the relay that something was committed. It is best effort: a lost
// wake-up costs one poll interval and nothing else.
type Waker struct {
	db     *postgres.DB
	log    *slog.Logger
	asked  chan struct{}
	notify postgres.Statement
}

// A second run is a second knock at the same door.
var notifyRelay = postgres.Guarded("outbox.wake", `SELECT pg_notify('payonce_outbox', '')`)

// NewWaker opens a connection of its own: NOTIFY takes a lock across the commit
// that is one for the whole database (5,100 commits a second became 1,600), so
// it never stands in a business transaction.
func NewWaker(ctx context.Context, cfg postgres.Config, log *slog.Logger) (*Waker, error) {
	cfg.PoolSize = 1
	db, err := postgres.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Waker{db: db, log: log, asked: make(chan struct{}, 1), notify: notifyRelay}, nil
}

// Wake asks for a wake-up and returns at once. Call it after the commit. Many
// calls while one is on its way become one.
func (w *Waker) Wake() {
	select {
	case w.asked <- struct{}{}:
	default:
	}
}

// Run sends wake-ups until ctx ends.
func (w *Waker) Run(ctx context.Context) error {
	defer func() { _ = w.db.Close() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.asked:
		}
		asked, cancel := context.WithTimeout(ctx, time.Second)
		if _, err := w.notify.Exec(asked, w.db); err != nil && ctx.Err() == nil {
			w.log.Debug("the relay was not woken; it will poll", "error", err)
		}
		cancel()
	}
}
