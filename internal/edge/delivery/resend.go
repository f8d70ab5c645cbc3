package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// Why events are not sent again, or not taken back, as asked.
var (
	ErrNoConsumer = errors.New("there is no such consumer, or nothing is owed to it")
	ErrTooOld     = errors.New("the time begins before what an inbox is sure to remember")
	ErrSent       = errors.New("nothing that was sent again for that consumer and time waits")
)

// Again asks to send a consumer's events once more: those that were born in a time
// and that it has not applied. Or to take back what was so sent.
type Again struct {
	Consumer    string
	From, Until time.Time
	// Limit is how old an event may be; within it the inbox still knows it.
	Limit    time.Duration
	Who, Why string
}

// MostAgain is how many events one command sends.
const MostAgain = 10_000

const oldSQL = `SELECT $1::timestamptz < clock_timestamp() - $2::float8 * interval '1 second'`

// Only rows about events that the consumer owes an inbox row for, and a replay that
// has not left yet is not joined by another. The number of a dead letter's replay
// goes along, so that the copy's death is told from an older one's.
var resendSQL = `
WITH again AS (
INSERT INTO outbox_events (row_id, event_id, destination, merchant_id, correlation_id, aggregate_type, aggregate_id,
  aggregate_version, type, payload, traceparent, partition_no, replay_no)
SELECT uuid_v7(row_number() OVER ()), e.event_id, b.consumer, e.merchant_id, e.correlation_id, e.aggregate_type, e.aggregate_id,
  e.aggregate_version, e.type, e.payload, e.traceparent, e.partition_no,
  coalesce((SELECT d.replay_no FROM dead_letters d WHERE d.consumer = b.consumer AND d.event_id = e.event_id::text), 0)
  FROM (
    SELECT DISTINCT ON (event_id) * FROM outbox_events
     WHERE row_id >= uuid_v7_floor($2::timestamptz) AND row_id < uuid_v7_floor($3::timestamptz)
       AND published_at IS NOT NULL AND (destination IS NULL AND type = ANY ($4::text[]) OR destination = $1::text)
     ORDER BY event_id, row_id
  ) AS e, (SELECT $1::text) AS b (consumer)
 WHERE ` + NotApplied("0") + `
   AND NOT EXISTS (SELECT FROM outbox_events q WHERE q.aggregate_id = e.aggregate_id AND q.event_id = e.event_id
     AND q.destination = b.consumer AND q.published_at IS NULL)
 ORDER BY e.row_id LIMIT $5
RETURNING row_id)
SELECT row_id::text FROM again`

const writeResendSQL = `
INSERT INTO event_resends (id, action, consumer, born_from, born_until, queued, row_ids, who, why)
VALUES ($1, $2, $3, $4, $5, $6, $7::uuid[], $8, $9)`

// The commands and not the rows say which these are: a dead letter's replay waits in
// the same queue, and is the letter's to take back.
const resentSQL = `
SELECT unnest(row_ids)::text FROM event_resends
 WHERE action = 'resend' AND consumer = $1 AND born_from >= $2 AND born_until <= $3`

// Resend puts the events into the outbox once more, for that consumer's queue alone
// and under their own ids, with who asked and why. It returns how many they are;
// [MostAgain] of them means that there may be more, and a second call goes on. A
// queue that takes no messages is outbox.ErrQueue, and nothing is sent.
func Resend(ctx context.Context, db *postgres.DB, a Again) (queued int64, err error) {
	consumer, err := a.consumer()
	if err != nil {
		return 0, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		var old bool
		if err := tx.Get(ctx, &old, oldSQL, a.From, a.Limit.Seconds()); err != nil {
			return err
		}
		if old {
			return ErrTooOld
		}
		if err := patterns.Takes(ctx, tx, a.Consumer); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, noCompilerSQL); err != nil {
			return err
		}
		rows := []string{} // never NULL in SQL
		if err := tx.Select(ctx, &rows, resendSQL, a.Consumer, a.From, a.Until, pq.Array(consumer.Types), MostAgain); err != nil {
			return err
		}
		queued = int64(len(rows))
		return a.note(ctx, tx, "resend", queued, rows)
	})
	return queued, err
}

// TakeBack takes back what [Resend] has put into the outbox for a consumer by the
// commands whose time lies within this one, as far as it has not left, and returns
// how many events that are. None is [ErrSent]. As with outbox.TakeBack, what is being
// published at this moment may still arrive, under its own id.
func TakeBack(ctx context.Context, db *postgres.DB, a Again) (removed int64, err error) {
	if _, err := a.consumer(); err != nil {
		return 0, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, noCompilerSQL); err != nil {
			return err
		}
		var rows []string
		if err := tx.Select(ctx, &rows, resentSQL, a.Consumer, a.From, a.Until); err != nil {
			return err
		}
		if removed, err = patterns.Outbox.TakeBackRows(ctx, tx, alert.Troubles{}, a.Consumer, rows); err != nil {
			return err
		}
		if removed == 0 {
			return ErrSent
		}
		return a.note(ctx, tx, "take_back", removed, []string{})
	})
	return removed, err
}

func (a Again) consumer() (event.Consumer, error) {
	i := slices.IndexFunc(event.Consumers, func(c event.Consumer) bool { return c.Name == a.Consumer && !c.Lossy })
	if i < 0 {
		return event.Consumer{}, ErrNoConsumer
	}
	return event.Consumers[i], nil
}

// note writes down what was asked and by whom.
func (a Again) note(ctx context.Context, tx postgres.Tx, action string, events int64, rows []string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, writeResendSQL, id, action, a.Consumer, a.From, a.Until, events, pq.Array(rows), a.Who, strings.TrimSpace(a.Why))
	return err
}
