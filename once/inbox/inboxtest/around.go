package inboxtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// RunAround judges a consumer whose effect is outside (see [inbox.Around]):
// Consumer.Around is judged, its Handler is not looked at. Sample.Effects counts
// what the outside world did for one event and what was recorded of it; the
// outside world must dedupe by key, or it is the one that fails.
func RunAround(t *testing.T, c Consumer, s Sample) {
	t.Helper()
	if s.Want == 0 {
		s.Want = 1
	}
	for name, judge := range map[string]func(*stage){
		"delivered twice in a row, one effect":                      func(s *stage) { twiceInARow(s, s.asking) },
		"twenty deliveries at once to four workers, one effect":     func(s *stage) { twentyAtOnce(s, s.asking) },
		"the intent is durable before the call, the inbox row not":  intentFirst,
		"a crash after the call repeats it, one effect":             crashAfterCall,
		"a crash between commit and ack, one effect":                aroundCrashBeforeAck,
		"a call that nobody answered is retried, one effect":        unansweredCall,
		"an unknown schema version is permanent, with no effect":    aroundUnknownVersion,
		"a message outside of the window never reaches the outside": aroundOutsideTheWindow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(newStage(t, c, s))
		})
	}
}

// wrapped is the consumer's Around with something done around each call.
func (s *stage) wrapped(wrap func(ctx context.Context, m inbox.Message, call inbox.Call) (inbox.Record, error)) *inbox.Around {
	return &inbox.Around{Types: s.Around.Types, Intend: func(ctx context.Context, tx once.Tx, m inbox.Message) (inbox.Call, error) {
		call, err := s.Around.Intend(ctx, tx, m)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (inbox.Record, error) { return wrap(ctx, m, call) }, nil
	}}
}

func intentFirst(s *stage) {
	m := s.fresh()
	var seen atomic.Bool
	r := s.runAround(s.wrapped(func(ctx context.Context, m inbox.Message, call inbox.Call) (inbox.Record, error) {
		// Both are looked at from another connection: what it sees is committed.
		var open int
		var known bool
		rows, err := s.db.Read(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
		if _, err := once.One(rows, err, &open); err != nil {
			return nil, err
		}
		if err := s.db.InTx(ctx, func(tx once.Tx) (err error) {
			known, err = s.Table.Applied(ctx, tx, s.Name, m.EventID)
			return err
		}); err != nil {
			return nil, err
		}
		if open != 0 || known {
			s.t.Errorf("during the call: %d open transactions, an inbox row: %t", open, known)
		}
		seen.Store(true)
		return call(ctx)
	}))
	s.publish(m)
	s.eventually("it is applied", func() bool { return r.Counts().Applied == 1 })
	if !seen.Load() {
		s.t.Error("nothing was called")
	}
	s.effects(s.sample.Want, m)
}

func crashAfterCall(s *stage) {
	m := s.fresh()
	var calls atomic.Int32
	r := s.runAround(s.wrapped(func(ctx context.Context, _ inbox.Message, call inbox.Call) (inbox.Record, error) {
		record, err := call(ctx)
		if err != nil || calls.Add(1) > 1 {
			return record, err
		}
		return func(ctx context.Context, tx once.Tx) error {
			if err := record(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		}, nil
	}))
	s.publish(m)
	s.eventually("it is applied in the second run", func() bool { return r.Counts().Applied == 1 })
	if calls.Load() < 2 {
		s.t.Errorf("the call was made %d times", calls.Load())
	}
	s.effects(s.sample.Want, m)
	s.drained()
}

func aroundCrashBeforeAck(s *stage) {
	m := s.fresh()
	var cut atomic.Bool
	r := s.runAround(s.wrapped(func(ctx context.Context, _ inbox.Message, call inbox.Call) (inbox.Record, error) {
		record, err := call(ctx)
		if err == nil && cut.CompareAndSwap(false, true) {
			s.proxy.Cut()
		}
		return record, err
	}))
	s.publish(m)
	s.eventually("the redelivery is absorbed", func() bool { return r.Counts().Applied == 1 && r.Counts().Absorbed >= 1 })
	s.effects(s.sample.Want, m)
	s.drained()
}

func unansweredCall(s *stage) {
	m := s.fresh()
	var lost atomic.Bool
	r := s.runAround(s.wrapped(func(ctx context.Context, _ inbox.Message, call inbox.Call) (inbox.Record, error) {
		record, err := call(ctx)
		if err == nil && lost.CompareAndSwap(false, true) {
			return nil, retry.Ambiguous(errors.New("the answer was lost, as asked by the suite"))
		}
		return record, err
	}))
	s.publish(m)
	s.eventually("it is applied after one retry", func() bool { return r.Counts().Applied == 1 && r.Counts().Retried == 1 })
	s.effects(s.sample.Want, m)
	s.drained()
}

func aroundUnknownVersion(s *stage) {
	m := s.changed("schema", 999)
	s.publish(m)
	s.asking()
	s.died(m, retry.ClassPermanent, "")
	s.effects(0, m)
}

func aroundOutsideTheWindow(s *stage) {
	m := s.fresh()
	m.EventID = idOfDay(-400)
	s.publish(m)
	s.runAround(s.wrapped(func(context.Context, inbox.Message, inbox.Call) (inbox.Record, error) {
		s.t.Error("the outside was called for an event that nobody remembers")
		return nil, retry.Permanent(errors.New("must not be called"))
	}))
	s.died(m, retry.ClassPermanent, "older_than_dedupe_window")
	s.effects(0, m)
}
