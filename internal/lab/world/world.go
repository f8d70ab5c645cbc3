package world

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/oklog/run"

	"payonce/internal/platform/httpserver"
)

// Options are the world's outside. The zero value is complete.
type Options struct {
	Logger *slog.Logger // default: silent
	// Now is the world's clock, which need not agree with the shop's.
	Now func() time.Time
	// OnCall is told of every provider call and every accepted DATA while the
	// caller is still waiting for its answer, so that a test can look at the
	// shop's pg_stat_activity at exactly that moment. It may be called
	// concurrently and its time is the caller's. Kinds: charge, cancel,
	// charges, refund, refunds, balance, mail.
	OnCall func(kind string)
	// Slow is how long tok_slow takes (2 s). Hold is how long a connection
	// without an answer is held (6 s), longer than the shop's deadline of 4 s.
	Slow, Hold time.Duration
	// Webhooks say whom the provider tells what happened.
	Webhooks Webhooks
	// Hosts are names by which the world is reached, beside addresses and localhost.
	Hosts []string
	// Lab answers below /v1/lab/ on the world's address: what belongs to the
	// outside and is not the world. Nil means nobody does.
	Lab http.Handler
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnCall == nil {
		o.OnCall = func(string) {}
	}
	if o.Slow <= 0 {
		o.Slow = 2 * time.Second
	}
	if o.Hold <= 0 {
		o.Hold = 6 * time.Second
	}
	o.Webhooks = o.Webhooks.withDefaults()
	return o
}

// World is the provider and the mailbox of one database.
type World struct {
	options Options
	books   *books
	letters *letters
	mood    mood
	running running
	closing chan struct{} // closed when Serve begins to drain
	// receiving is read-locked by every DATA under way, so that closing can
	// wait for the last answer.
	receiving sync.RWMutex
	announced chan struct{} // a message may be due
	heard     listeners
}

// New makes a world on a migrated database. It owns nothing of db but its
// prepared statements, which Close gives back.
func New(ctx context.Context, db *sql.DB, options Options) (*World, error) {
	b, err := openBooks(ctx, db)
	if err != nil {
		return nil, err
	}
	return &World{
		options: options.withDefaults(),
		books:   b,
		letters: &letters{db: db},
		mood:    mood{value: goodMood()},
		running: running{keys: map[string]string{}},
		closing: make(chan struct{}), announced: make(chan struct{}, 1),
	}, nil
}

// Close releases the prepared statements. Call it after Serve has returned.
func (w *World) Close() { w.books.close() }

// Drain is how long Serve waits for calls under way.
const Drain = 5 * time.Second

// Serve runs the provider and the mailbox on the two listeners until ctx ends
// or one of them fails; it may be called once. Then it lets go of held
// connections, finishes what is being written, and returns. After an error
// nothing listens any more.
func (w *World) Serve(ctx context.Context, web, mail net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	webServer := httpserver.New(w.Handler(), httpserver.Limits{}, w.options.Logger)
	mailServer := w.mailServer()
	var group run.Group
	group.Add(func() error { <-ctx.Done(); return nil }, func(error) { cancel() })
	group.Add(func() error { return w.sender(ctx) }, func(error) { cancel() })
	group.Add(func() error { return ignoreClosed(webServer.Serve(web)) }, func(error) {
		close(w.closing)
		bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), Drain)
		defer stop()
		if webServer.Shutdown(bounded) != nil {
			_ = webServer.Close()
		}
	})
	group.Add(func() error { return ignoreClosed(mailServer.Serve(mail)) }, func(error) {
		w.receiving.Lock() // every DATA under way has been answered
		defer w.receiving.Unlock()
		_ = mailServer.Close()
	})
	return group.Run()
}

// ignoreClosed forgets the errors that only say that we closed it ourselves.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// logUnexpected logs what is not a refusal of ours. Neither tokens nor bodies
// are logged anywhere in the world.
func (w *World) logUnexpected(doing string, err error) {
	if refusal := new(apiError); !errors.As(err, &refusal) {
		w.options.Logger.Error("failed", "doing", doing, "error", err)
	}
}
