package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/program"
	"payonce/internal/platform/patterns"
	"payonce/internal/shop/event"
	"payonce/once/envelope"
)

// traffic is a kind of event and the queues that it reaches.
type traffic struct {
	name, title, eventType string
	queues                 []string
}

var (
	oneQueue    = traffic{"one-queue", "one queue an event", event.TypePaymentDeclined, queuesOf(event.TypePaymentDeclined)}
	threeQueues = traffic{"three-queues", "three queues an event, as payment.captured has", event.TypePaymentCaptured, queuesOf(event.TypePaymentCaptured)}
)

func queuesOf(eventType string) (queues []string) {
	for _, c := range event.Consumers {
		for _, t := range c.Types {
			if t == eventType {
				queues = append(queues, c.Name)
			}
		}
	}
	return queues
}

// relayLine compares the relay with a bare client that publishes the same rows.
func relayLine(h *house, kind traffic) line {
	r := &relays{house: h, traffic: kind}
	l := line{
		Name: "relay-" + kind.name, Title: "Relay, " + kind.title, Unit: "events per second", Half: 2,
		Notes: []string{
			"Rows, messages, exchange and quorum queues are the same; raw has the rows in memory before the clock starts, marks nothing, and keeps as many messages unconfirmed as the relay (1,000).",
			"The relay's time is from the commit that makes the rows visible until the last of them is confirmed and marked.",
		},
		Contenders: []contender{
			{Name: "raw", Title: "amqp091, pipelined confirms, window of 1,000", Slice: r.raw},
			{Name: "relay", Title: "cmd/relay: outbox row → confirmed publish → marked", Slice: r.relayed},
		},
		Ratios: []ratio{{Of: "relay", To: "raw", Target: 0.85}},
		Open:   r.open,
	}
	if len(kind.queues) > 1 {
		return l
	}
	l.Notes = append(l.Notes, "river and watermill run inside this program and write the same payload to one quorum queue; what they do not do with a job or message is counted until they have done with all.")
	l.Contenders = append(l.Contenders,
		contender{Name: "river", Title: "River as relay, tuned: a job for each event, 500 workers, confirms", Slice: r.peer(h.riverPeer, 1500)},
		contender{Name: "watermill", Title: "Watermill's forwarder, with confirms, polling every 10 ms", Slice: r.peer(h.watermillPeer, 300)},
	)
	l.Ratios = append(l.Ratios, ratio{Of: "relay", To: "river", Target: 2}, ratio{Of: "relay", To: "watermill", Target: 15})
	return l
}

// relays is what a relay line needs while it runs.
type relays struct {
	*house
	traffic traffic
	relay   *program.Program
	conn    *amqp.Connection
	rate    float64 // of the raw client, to know how many rows fill a slice
	few     bool    // rate is a relay's own and may be small
}

func (r *relays) open(ctx context.Context) (end func() error, err error) {
	end = func() error {
		var problems []error
		if r.relay != nil {
			problems = append(problems, stop(r.relay))
		}
		if r.conn != nil {
			problems = append(problems, r.conn.Close())
		}
		return errors.Join(problems...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if r.relay, err = r.startRelay(ctx); err != nil {
		return end, err
	}
	if r.conn, err = amqp.Dial(r.stack.AMQPURL("/")); err != nil {
		return end, err
	}
	return end, r.settle(ctx)
}

// settle waits until the relay has published everything that stands in the
// outbox, and empties the queues.
func (r *relays) settle(ctx context.Context) error {
	err := until(ctx, 2*time.Minute, func() (bool, error) {
		var left bool
		err := r.db.QueryRowContext(ctx, anyLeftSQL).Scan(&left)
		return !left, err
	})
	if err != nil {
		return fmt.Errorf("the outbox does not become empty: %w", err)
	}
	if _, err := r.db.ExecContext(ctx, `VACUUM ANALYZE outbox_events`); err != nil {
		return err
	}
	return r.purge()
}

// events is how many fill a slice.
func (r *relays) events(t *clock) int {
	const firstGuess = 5000
	if r.few {
		return int(r.rate * t.length.Seconds())
	}
	return int(max(r.rate, firstGuess) * t.length.Seconds())
}

// insertSQL makes events of as many aggregates. Those for the raw client are
// marked from the start, so that the relay leaves them alone.
const insertSQL = `
INSERT INTO outbox_events (row_id, event_id, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version,
                           type, payload, traceparent, partition_no, published_at)
SELECT id, id, $2::uuid, aggregate, 'payment', aggregate, 1, $3, $4, $5, g % 16, CASE WHEN $6 THEN clock_timestamp() END
  FROM (SELECT g, uuid_v7(g) AS id, gen_random_uuid() AS aggregate FROM generate_series(1, $1::bigint) AS g) AS e`

// example is a capture's event, so that the bytes are those of real traffic.
func example() (merchant uuid.UUID, payload []byte, trace string, err error) {
	a, err := argumentsOf(job{payment: uuid.New(), merchant: uuid.New(), order: uuid.New()})
	if err != nil {
		return merchant, nil, "", err
	}
	payload, isBytes := a.named["event_payload"].([]byte)
	trace, isText := a.named["event_trace"].(string)
	if !isBytes || !isText {
		return merchant, nil, "", errors.New("an event's parameters have other names")
	}
	return uuid.New(), payload, trace, nil
}

// relayed measures the real program.
func (r *relays) relayed(ctx context.Context, t *clock) error {
	n := r.events(t)
	merchant, payload, trace, err := example()
	if err != nil {
		return err
	}
	watch, err := r.watch(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watch.Close() }()
	tx, err := r.db.BeginTx(ctx, nil) //nolint:forbidigo // no business is done here
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, insertSQL, n, merchant, r.traffic.eventType, payload, trace, false); err != nil {
		return err
	}
	var last uuid.UUID
	if err := tx.QueryRowContext(ctx, lastSQL, merchant).Scan(&last); err != nil {
		return err
	}
	// As the api does after its commit, only in the same breath.
	if _, err := tx.ExecContext(ctx, `SELECT pg_notify('payonce_outbox', '')`); err != nil {
		return err
	}
	t.start(ctx)
	if err := tx.Commit(); err != nil {
		return err
	}
	err = r.published(ctx, watch, last)
	t.stop(n)
	if err != nil {
		return fmt.Errorf("the relay does not finish: %w", err)
	}
	return r.verify(ctx, merchant, n)
}

const (
	lastSQL      = `SELECT row_id FROM outbox_events WHERE merchant_id = $1 ORDER BY seq DESC LIMIT 1`
	isMarkedSQL  = `SELECT published_at IS NOT NULL FROM outbox_events WHERE row_id = $1`
	anyLeftSQL   = `SELECT EXISTS (SELECT FROM outbox_events WHERE published_at IS NULL)`
	lookInterval = 10 * time.Millisecond
)

// watch prepares the question that is asked while the clock runs: one row by
// its key. (The relay's own metrics gave the same answer for a fifth of the
// relay's time.)
func (r *relays) watch(ctx context.Context) (*sql.Stmt, error) {
	return r.db.PrepareContext(ctx, isMarkedSQL)
}

// published waits for the last row, and then for those that were overtaken.
func (r *relays) published(ctx context.Context, watch *sql.Stmt, last uuid.UUID) error {
	err := until(ctx, time.Minute, func() (marked bool, err error) {
		return marked, watch.QueryRowContext(ctx, last).Scan(&marked)
	})
	if err != nil {
		return err
	}
	return until(ctx, time.Minute, func() (bool, error) {
		var left bool
		err := r.db.QueryRowContext(ctx, anyLeftSQL).Scan(&left)
		return !left, err
	})
}

const unpublishedSQL = `SELECT count(*) FROM outbox_events WHERE merchant_id = $1 AND published_at IS NULL`

// verify counts rows and messages, and leaves neither behind.
func (r *relays) verify(ctx context.Context, merchant uuid.UUID, n int) error {
	var unpublished int
	if err := r.db.QueryRowContext(ctx, unpublishedSQL, merchant).Scan(&unpublished); err != nil {
		return err
	}
	if unpublished > 0 {
		return fmt.Errorf("%d of %d events are not marked", unpublished, n)
	}
	if err := r.depths(ctx, n); err != nil {
		return err
	}
	if err := r.purge(); err != nil {
		return err
	}
	// Each slice meets a table of the same size.
	if _, err := r.db.ExecContext(ctx, `DELETE FROM outbox_events WHERE merchant_id = $1`, merchant); err != nil {
		return err
	}
	_, err := r.db.ExecContext(ctx, `VACUUM ANALYZE outbox_events`)
	return err
}

// until asks every few milliseconds.
func until(ctx context.Context, patience time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// depths waits until every queue holds n messages: the broker counts them a
// moment after it has confirmed them.
func (r *relays) depths(ctx context.Context, n int) error {
	ch, err := r.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	for _, queue := range r.traffic.queues {
		var seen int
		err := until(ctx, 10*time.Second, func() (bool, error) {
			q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			seen = q.Messages
			return seen == n, err
		})
		if err != nil {
			return fmt.Errorf("queue %s holds %d messages of %d: %w", queue, seen, n, err)
		}
	}
	return nil
}

func (r *relays) purge() error {
	ch, err := r.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	for _, c := range event.Consumers {
		if _, err := ch.QueuePurge(c.Name, false); err != nil {
			return fmt.Errorf("purge %s: %w", c.Name, err)
		}
	}
	return nil
}

// messageOf is what the relay makes of a row.
func messageOf(e envelope.Envelope) amqp.Publishing {
	m := patterns.Format.Message(e, "", "")
	return amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: m.ContentType, MessageId: m.ID, Type: m.Type,
		Timestamp: m.Time, Headers: amqp.Table(m.Headers), Body: m.Body,
	}
}
