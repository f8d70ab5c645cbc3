package outbox

import (
	"context"
	"log/slog"
	"regexp"
	"time"

	"payonce/once"
)

// Waker says to the relays that something was committed. It is best effort: a lost
// wake-up costs one poll interval and nothing else.
type Waker struct {
	db     once.DB
	notify string
	log    *slog.Logger
	asked  chan struct{}
}

var possible = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// NewWaker makes the waker of a channel; see [Names]. It has a session of its own: NOTIFY
// takes a lock across the commit that is one for the whole server (5,100 commits a
// second became 1,600), so it never stands in a business transaction. log may be nil.
func NewWaker(db once.DB, channel string, log *slog.Logger) *Waker {
	if !possible.MatchString(channel) {
		panic("outbox: " + channel + " is no name of a channel")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Waker{db: db, notify: `SELECT pg_notify('` + channel + `', '')`, log: log, asked: make(chan struct{}, 1)}
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
	var session once.Session
	end := func() {
		if session != nil {
			_ = session.Close()
			session = nil
		}
	}
	defer func() { end() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.asked:
		}
		asked, cancel := context.WithTimeout(ctx, time.Second)
		err := w.send(asked, &session)
		if err != nil && asked.Err() == nil {
			end() // it may have ended while nothing was to be said
			err = w.send(asked, &session)
		}
		cancel()
		if err != nil {
			end()
			if ctx.Err() == nil {
				w.log.Debug("the relay was not woken; it will poll", "error", err)
			}
		}
	}
}

func (w *Waker) send(ctx context.Context, session *once.Session) (err error) {
	if *session == nil {
		if *session, err = w.db.Session(ctx); err != nil {
			return err
		}
	}
	_, err = (*session).Do(ctx, w.notify)
	return err
}
