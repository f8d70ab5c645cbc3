package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/pattern/outbox"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// Why events are not sent again as asked.
var (
	ErrNoConsumer = errors.New("there is no such consumer, or nothing is owed to it")
	ErrTooOld     = errors.New("the time begins before what an inbox is sure to remember")
)

// Again asks to send a consumer's events once more: those that were born in a time
// and that it has not applied.
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
 ORDER BY e.row_id LIMIT $5`

const writeResendSQL = `
INSERT INTO event_resends (id, consumer, born_from, born_until, queued, who, why) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// Resend puts the events into the outbox once more, for that consumer's queue alone
// and under their own ids, with who asked and why. It returns how many they are;
// [MostAgain] of them means that there may be more, and a second call goes on. A
// queue that takes no messages is outbox.ErrQueue, and nothing is sent.
func Resend(ctx context.Context, db *postgres.DB, a Again) (queued int64, err error) {
	i := slices.IndexFunc(event.Consumers, func(c event.Consumer) bool { return c.Name == a.Consumer && !c.Lossy })
	if i < 0 {
		return 0, ErrNoConsumer
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		var old bool
		if err := tx.Get(ctx, &old, oldSQL, a.From, a.Limit.Seconds()); err != nil {
			return err
		}
		if old {
			return ErrTooOld
		}
		if err := outbox.Takes(ctx, tx, a.Consumer); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, noCompilerSQL); err != nil {
			return err
		}
		var err error
		if queued, err = tx.Exec(ctx, resendSQL, a.Consumer, a.From, a.Until, pq.Array(event.Consumers[i].Types), MostAgain); err != nil {
			return err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, writeResendSQL, id, a.Consumer, a.From, a.Until, queued, a.Who, strings.TrimSpace(a.Why))
		return err
	})
	return queued, err
}
