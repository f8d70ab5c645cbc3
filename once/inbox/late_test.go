package inbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

func TestAnEventThatWasDoneBeforeIsRememberedAndHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
	done, innocent := newAdded(t, nil), newAdded(t, nil)
	handler := func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		for _, m := range batch {
			if m.EventID == done.EventID {
				return retry.Done(errors.New("its key is there already"))
			}
		}
		return addAll(ctx, tx, batch)
	}
	publish(t, connect(t, url), done, innocent)
	r, conn, _ := start(t, url, db, handler, nil)
	eventually(t, "one is applied and one absorbed", func() bool { return r.Counts().Applied == 1 && r.Counts().Absorbed == 1 })
	publish(t, conn, done)
	eventually(t, "the redelivery is absorbed by the inbox", func() bool { return r.Counts().Absorbed == 2 })
	if n := dbtest.Int(t, db, `SELECT count(*) FROM bank.consumer_inbox WHERE consumer = 'bank'`); n != 2 {
		t.Errorf("%d inbox rows, not 2", n)
	}
	if c := r.Counts(); c.Retried+c.Dead != 0 || r.Failures()[retry.ClassDone] != 1 || sevens(t, db, innocent) != 1 || sevens(t, db, done) != 0 {
		t.Errorf("counts %+v, failures %v", c, r.Failures())
	}
}

// keyed is a handler that is unique by a key of the business.
func keyed(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	for _, m := range batch {
		if _, err := tx.Exec(ctx, `INSERT INTO points (account, sum) VALUES ($1, 7) ON CONFLICT DO NOTHING`, m.AggregateID); err != nil {
			return err
		}
	}
	return nil
}

// ofDay is an event id of another day.
func ofDay(days int) string {
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().AddDate(0, 0, days).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id.String()
}

func TestAnEventPastTheWindowIsAppliedOnlyWhenAPersonSaysSoAndBusinessKeysAbsorbItsRepeats(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
	old, asked, future, young := newAdded(t, nil), newAdded(t, nil), newAdded(t, nil), newAdded(t, nil)
	old.EventID, asked.EventID, future.EventID = ofDay(-400), ofDay(-400), ofDay(400)
	asked.PastWindow, future.PastWindow, young.PastWindow = true, true, true
	r, conn, stop := start(t, url, db, keyed, nil, func(c *inbox.Config) { c.ByBusinessKey = true })
	publish(t, conn, old, asked, future, asked, young, young)
	eventually(t, "the old one and the future one are dead", func() bool { return r.Counts().Dead == 2 })
	eventually(t, "what was asked for is applied, and within the window deduped", func() bool {
		return r.Counts().Applied == 3 && r.Counts().Absorbed == 1
	})
	for _, m := range []inbox.Message{asked, young} {
		if sevens(t, db, m) != 1 {
			t.Errorf("the effect is there %d times", sevens(t, db, m))
		}
	}
	if sevens(t, db, old)+sevens(t, db, future) != 0 {
		t.Error("the old one was not asked for, and the future one may not be")
	}
	stop()
	// A consumer without business keys never applies past its window.
	r, conn, _ = start(t, url, db, keyed, nil)
	publish(t, conn, asked)
	eventually(t, "it is refused to a person", func() bool { return r.Counts().Dead == 1 })
}

// lostRoute returns what is published to it until the route is back.
type lostRoute struct {
	retry.Publisher
	back atomic.Bool
}

func (l *lostRoute) Publish(ctx context.Context, m message.Message) error {
	if l.back.Load() {
		return l.Publisher.Publish(ctx, m)
	}
	return message.Returned{Exchange: m.Exchange, Key: m.Key, Reason: "NO_ROUTE"}
}

func TestAFailedMessageThatIsReturnedWaitsInHandAndAlarmsOnceUntilItsRouteIsBack(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
	route := &lostRoute{Publisher: connect(t, url).Publisher(rabbit.PublisherConfig{})}
	m := newAdded(t, nil)
	m.Payload = []byte(`{"schema":2}`)
	r, conn, _ := start(t, url, db, addAll, nil, func(c *inbox.Config) { c.Publisher = route })
	publish(t, conn, m)
	troubles := func(ended bool) int {
		return dbtest.Int(t, db, `SELECT count(*) FROM bank.troubles WHERE kind = 'retry_unroutable' AND subject = 'bank.dead/bank' AND (ended_at IS NOT NULL) = $1`, ended)
	}
	eventually(t, "a trouble is raised", func() bool { return troubles(false) == 1 })
	if r.Counts().Returned < 1 || r.Counts().Dead != 0 {
		t.Errorf("counts %+v", r.Counts())
	}
	route.back.Store(true)
	eventually(t, "it is dead and the trouble has ended", func() bool { return r.Counts().Dead == 1 && troubles(true) == 1 })
}
