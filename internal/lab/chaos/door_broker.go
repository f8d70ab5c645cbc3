package chaos

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// This file holds the door at the broker: a consumer's queue that is deleted under
// load with all that is in it.

// vanishing is whose queues are deleted, in turn. The first of a campaign is one of
// the busy ones.
var vanishing = []string{"ledger", "tickets", "email", "provider", "saga", "checkout"}

const busy = 3

// deleteQueue deletes a queue, as soon as the broker hears it.
func (d *doors) deleteQueue(ctx context.Context, queue string) error {
	for {
		asking, cancel := context.WithTimeout(ctx, patience)
		err := d.tap.conn.DeleteQueue(asking, queue)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// declare does what the alert says: a worker that starts declares its queues, and
// binds them before it reads. What is published in between is lost. It waits for a reader
// and not for the worker: that one is not ready while any queue of a cluster is without a
// leader.
func (d *doors) declare(ctx context.Context, no int, queue string) error {
	for ctx.Err() == nil {
		if err := d.programs[workers[no%len(workers)]].Signal(syscall.SIGKILL); err != nil {
			return err
		}
		for range 40 {
			wait(ctx, 250*time.Millisecond)
			asking, cancel := context.WithTimeout(ctx, patience)
			depth, err := d.tap.conn.Depth(asking, queue)
			cancel()
			if err == nil && depth.Consumers > 0 {
				return nil
			}
		}
		no++
	}
	return fmt.Errorf("queue %s was never declared again: %w", queue, ctx.Err())
}

const (
	nowSQL = `SELECT clock_timestamp()`

	// What the consumer was to apply and has not, of what was published until then.
	missingSQL = `
SELECT count(*)
  FROM outbox_events o
 WHERE o.published_at < $3 AND NOT o.past_window
   AND coalesce(o.destination, $1::text) = $1::text AND (o.destination IS NOT NULL OR o.type = ANY (string_to_array($2::text, ',')))
   AND NOT EXISTS (SELECT FROM consumer_inbox i WHERE i.consumer = $1 AND i.event_id = o.event_id)
   AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.consumer = $1 AND d.event_id = o.event_id::text)`

	foundSQL = `SELECT ` + `(` + missingSQL + `) = 0`

	alertSinceSQL = `SELECT count(*) FROM alerts WHERE kind = 'event_not_applied' AND subject = $1 AND (state = 'open' OR resolved_at > $2)`

	manyCapturedSQL = `SELECT count(*) >= 20 FROM outbox_events WHERE type = 'payment.captured'`
)

// gone is how long a queue stays away at least.
const gone = 2 * time.Second

// vanish deletes a consumer's queue under load, and replays a dead letter to it
// while it is away. What is lost is noticed by the delivery monitor, and the
// operator sends it again. It is over when all of it is applied.
func (d *doors) vanish(ctx context.Context, b *buyer, consumer string) (string, error) {
	if err := d.until(ctx, "some captures", manyCapturedSQL); err != nil {
		return "", err
	}
	var began, back time.Time
	if err := d.read(ctx, &began, nowSQL); err != nil {
		return "", err
	}
	if !slices.Contains(capturedConsumers(), consumer) { // which gets no poison, and so has no letter
		if err := d.away(ctx, b, consumer, func() {}); err != nil {
			return "", err
		}
	} else if err := d.awayWithReplay(ctx, b, consumer); err != nil {
		return "", err
	}
	if err := d.read(ctx, &back, nowSQL); err != nil {
		return "", err
	}
	return d.foundAgain(ctx, consumer, began, back)
}

// awayWithReplay replays a letter to the queue that is away. It is refused, or it
// waits; in the end it arrives, dies again and is open again.
func (d *doors) awayWithReplay(ctx context.Context, b *buyer, consumer string) error {
	poison, err := d.publish(ctx, d.tap.poisonous)
	if err != nil {
		return err
	}
	if err := d.until(ctx, "the letter of "+letterName(poison, consumer), letterOpenSQL, poison.String(), consumer); err != nil {
		return err
	}
	ruled := make(chan error, 1)
	err = d.away(ctx, b, consumer, func() {
		go func() { ruled <- d.rule(ctx, poison, consumer, replayed) }()
	})
	if err != nil {
		return err
	}
	if err := <-ruled; err != nil {
		return err
	}
	return d.until(ctx, "the second death of "+letterName(poison, consumer), diedAgainSQL, poison.String(), consumer)
}

// away deletes a queue, which stays away for a while, and has it declared again.
// Meanwhile the campaign publishes nothing of its own.
func (d *doors) away(ctx context.Context, b *buyer, consumer string, meanwhile func()) error {
	d.mu.Lock()
	d.vanished[consumer] = true
	d.mu.Unlock()
	d.tap.calm.Lock()
	defer d.tap.calm.Unlock()
	if err := d.buried(ctx, consumer); err != nil {
		return err
	}
	if err := d.deleteQueue(ctx, consumer); err != nil {
		return err
	}
	meanwhile()
	wait(ctx, gone)
	return d.declare(ctx, b.no, consumer)
}

const buriedSQL = `
SELECT NOT EXISTS (SELECT FROM unnest($1::text[]) AS p (id)
  WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.consumer = $2 AND d.event_id = p.id))`

// buried waits until every message of the campaign's own is a letter of that
// consumer: in its queue it would be lost, and no outbox has it.
func (d *doors) buried(ctx context.Context, consumer string) error {
	if !slices.Contains(capturedConsumers(), consumer) {
		return nil
	}
	var ids []string
	for _, id := range d.tap.poisoned() {
		ids = append(ids, id.String())
	}
	return d.until(ctx, "the letters of "+consumer, buriedSQL, pq.Array(ids), consumer)
}

// foundAgain waits until all that was published before the queue was back is
// applied, and says whether the operator had to be alerted for it.
func (d *doors) foundAgain(ctx context.Context, consumer string, began, back time.Time) (string, error) {
	if err := d.until(ctx, "what "+consumer+" lost", foundSQL, consumer, typesOf(consumer), back); err != nil {
		return "", err
	}
	var alerts int
	if err := d.read(ctx, &alerts, alertSinceSQL, consumer, began); err != nil {
		return "", err
	}
	if alerts == 0 {
		return consumer + ": nothing was lost", nil
	}
	return consumer + ": what was lost was an alert and was sent again", nil
}

func typesOf(consumer string) (list string) {
	consumers, types := owed()
	for i := range consumers {
		if consumers[i] == consumer {
			list += "," + types[i]
		}
	}
	return list[1:]
}

// resendEvery is how long the operator waits for the monitor to look again.
const resendEvery = 10 * time.Second

// due says whether the operator may see to something again, and notes it if so.
func (d *doors) due(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := time.Since(d.resent[what]) > resendEvery
	if due {
		d.resent[what] = time.Now()
	}
	return due
}

// keep has the operator leave something to the door that brought it about.
func (d *doors) keep(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resent[what] = time.Now().AddDate(1, 0, 0)
}

// sendAgain sends a consumer's lost events again, those that the alert names. They
// are lost when the consumer runs and its queue is empty; before, they are late.
func (d *doors) sendAgain(ctx context.Context, a openAlert) error {
	asking, cancel := context.WithTimeout(ctx, patience)
	depth, err := d.tap.conn.Depth(asking, a.Subject)
	cancel()
	if err != nil || depth.Ready > 0 || depth.Consumers == 0 {
		return ctx.Err() // looked at again, like a broker that is away
	}
	d.mu.Lock()
	vanished := d.vanished[a.Subject]
	d.mu.Unlock()
	if !vanished || !d.due(a.Subject) {
		return nil
	}
	return d.post(ctx, "sends lost events again to "+a.Subject, "/v1/ops/events/resend", map[string]any{
		"consumer": a.Subject, "from": a.fact("from"), "until": a.fact("until"), "reason": "the queue was deleted",
	})
}
