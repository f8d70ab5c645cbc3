package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/once"
)

// owner takes and keeps the right to publish some of the partitions. All its
// locks belong to one session, so that they are lost together, and with them the
// relay's place among the living.
type owner struct {
	db   once.DB
	beat time.Duration
	// patience is how long the engine may take to let go of a partition.
	patience time.Duration
	names    Names
	log      *slog.Logger
}

// looksPerBeat is how often within a beat a relay counts the living; each look
// is a sign of life as well. A crash is noticed at the next one.
const looksPerBeat = 4

func (o owner) look() time.Duration { return o.beat / looksPerBeat }

// assignment is how the session of one tenure says to its engine which partitions it
// has. At most two orders for a partition are ever unread, so neither side blocks.
type assignment struct {
	orders chan order // what to take and what to let go of
	gone   chan int   // partitions of which nothing is under way any more
	lease  *lease
}

type order struct {
	partition int
	take      bool
}

func newAssignment(l *lease) *assignment {
	return &assignment{orders: make(chan order, 2*partitions), gone: make(chan int, partitions), lease: l}
}

// during runs lead once for each session, until ctx ends. The context given to
// lead ends as soon as the session gives no sign of life: losing the session is
// losing the locks.
func (o owner) during(ctx context.Context, lead func(ctx context.Context, d *assignment)) {
	for ctx.Err() == nil {
		err := o.session(ctx, lead)
		if ctx.Err() != nil {
			return
		}
		o.log.Warn("the relay's session is lost, and with it its partitions", "error", err)
		pause(ctx, o.look())
	}
}

func (o owner) session(ctx context.Context, lead func(ctx context.Context, d *assignment)) error {
	return o.join(ctx, func(s *session) error {
		tenure, lose := context.WithCancelCause(ctx)
		kept, drained := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(kept)
			lose(s.keep(tenure))
			s.stay(drained)
		}()
		func() {
			// Deferred: a relay that panics must not keep its partitions.
			defer func() { lose(nil); close(drained); <-kept }()
			lead(tenure, s.assignment)
		}()
		return context.Cause(tenure)
	})
}

// sessionWithin is how long a server may take to begin a session before another is asked
// for; an adapter gives the connection itself three seconds.
const sessionWithin = 5 * time.Second

// join opens a session, takes a place among the living and calls then.
func (o owner) join(ctx context.Context, then func(s *session) error) error {
	asked, cancel := context.WithTimeout(ctx, sessionWithin)
	conn, err := o.db.Session(asked)
	cancel()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	s := &session{owner: o, conn: conn, assignment: newAssignment(newLease(3 * o.beat))}
	// A stopped process cannot speak: the server then ends the session, and with
	// it the locks, so that the others take over.
	var limit string
	if err := s.ask(ctx, []any{&limit}, `SELECT set_config('idle_session_timeout', $1, false)`, fmt.Sprintf("%dms", (4*o.beat).Milliseconds())); err != nil {
		return err
	}
	if err := s.appear(ctx); err != nil {
		return err
	}
	return then(s)
}

// session is the owner's side of one tenure.
type session struct {
	owner
	conn       once.Session
	assignment *assignment
	mine       [partitions]bool
	giving     [partitions]bool // asked back from the engine, not gone yet
	waited     int              // looks since the oldest of them was asked for
}

// appear takes the lock that says "a relay lives here". It is shared: relays do
// not exclude each other by it, they count each other. A relay of a version in
// which one owned everything holds the same lock alone, so in a rolling
// deployment the two kinds take turns and never publish side by side.
func (s *session) appear(ctx context.Context) error {
	for ctx.Err() == nil {
		var here bool
		if err := s.ask(ctx, []any{&here}, `SELECT pg_try_advisory_lock_shared($1)`, s.names.Presence); err != nil {
			return err
		}
		if here {
			return nil
		}
		pause(ctx, s.look())
	}
	return ctx.Err()
}

// keep looks around until the session fails to answer in time, and returns why.
func (s *session) keep(ctx context.Context) error {
	tick := time.NewTicker(s.look())
	defer tick.Stop()
	for {
		if err := s.balance(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-s.assignment.gone:
			if err := s.release(ctx, p); err != nil {
				return err
			}
		case <-tick.C:
			s.waited++
		}
	}
}

// stay keeps the locks, and takes no part any more, while the engine waits for
// the confirms of what it has sent: or others would send it again.
func (s *session) stay(drained <-chan struct{}) {
	tick := time.NewTicker(s.look())
	defer tick.Stop()
	for {
		select {
		case <-drained:
			return
		case <-tick.C:
		}
		var here bool
		if err := s.ask(context.Background(), []any{&here}, `SELECT true`); err != nil {
			return // The session is lost; there is nothing to keep.
		}
	}
}

// ask runs one query with a deadline that is short enough to notice a silent
// server before the server notices us. The lease is counted from before the
// question, so it ends before the server's patience does. A question is never
// cut short: the driver would drop the connection, and with it the locks.
func (s *session) ask(ctx context.Context, dest []any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.beat)
	defer cancel()
	asked := s.assignment.lease.now()
	rows, err := s.conn.Read(ctx, query, args...)
	if _, err := once.One(rows, err, dest...); err != nil {
		return err
	}
	s.assignment.lease.renew(asked)
	return nil
}

var (
	errPlaceGone   = errors.New("the session lives, but does not hold its locks")
	errNotLetGo    = errors.New("a partition was not let go of in time")
	errLockMissing = errors.New("an advisory lock was to be released that is not held")
)

// lease is how a relay that was stopped and wakes up knows, before it sends
// anything and without a question, that its partitions may be another's by now.
type lease struct {
	born  time.Time
	last  atomic.Int64 // when the session's latest answer was asked for, since born
	lasts time.Duration
}

func newLease(lasts time.Duration) *lease {
	return &lease{born: time.Now(), lasts: lasts} //nolint:forbidigo // a stopwatch: only differences are looked at, by the monotonic clock
}

func (l *lease) now() time.Duration { return time.Since(l.born) }

func (l *lease) renew(at time.Duration) { l.last.Store(int64(at)) }

func (l *lease) holds() bool { return l.now()-time.Duration(l.last.Load()) < l.lasts }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
