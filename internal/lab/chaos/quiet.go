package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"payonce/internal/shop/event"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// restlessSQL counts what is still under way. Its $1 leaves out the provider's hints:
// one that comes late, on the provider's own schedule, is something new and not
// something left.
const restlessSQL = `
SELECT (SELECT count(*) FROM outbox_events WHERE published_at IS NULL AND ($1::boolean OR aggregate_type <> 'provider_message')) AS unpublished,
       (SELECT count(*) FROM payment_attempts WHERE status IN ('sending', 'in_doubt')) AS unfinished,
       (SELECT count(*) FROM idempotency_keys WHERE status = 'running') AS running,
       (SELECT count(*) FROM emails WHERE status = 'queued') AS unsent`

// unappliedSQL walks over every event there is, so it is asked last.
const unappliedSQL = `
SELECT count(*)
  FROM outbox_events o JOIN unnest($1::text[], $2::text[]) AS b (consumer, type) ON b.type = o.type AND b.consumer = coalesce(o.destination, b.consumer)
 WHERE ($3::boolean OR o.aggregate_type <> 'provider_message')
   AND NOT o.past_window -- a person had it applied by its business key
   AND NOT EXISTS (SELECT FROM consumer_inbox i WHERE i.consumer = b.consumer AND i.event_id = o.event_id)
   AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.consumer = b.consumer AND d.event_id = o.event_id::text AND d.state = 'open')`

type restless struct {
	Unpublished int `db:"unpublished"`
	Unfinished  int `db:"unfinished"`
	Running     int `db:"running"`
	Unsent      int `db:"unsent"`
	unapplied   int
	unended     int // of what was made by hand
	sagas       int
	queued      map[string]int
}

func (r restless) quiet() bool {
	return r.Unpublished+r.Unfinished+r.Running+r.Unsent+r.unapplied+r.unended+r.sagas+len(r.queued) == 0
}

func (r restless) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{r.Unpublished, "events unpublished"}, {r.Unfinished, "attempts unfinished"}, {r.Running, "keys running"},
		{r.Unsent, "mails unsent"}, {r.unapplied, "events unapplied"}, {r.sagas, "sagas under way"},
		{r.unended, "made by hand and not at an end"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	for queue, n := range r.queued {
		parts = append(parts, fmt.Sprintf("%d in %s", n, queue))
	}
	if len(parts) == 0 {
		return "nothing is under way"
	}
	return strings.Join(parts, ", ")
}

// queues are all that must be empty: the consumers', the delays' and the dead
// ones. A lossy queue is a picture that nobody has to look at.
func queues() (names []string) {
	lossy := map[string]bool{}
	for _, c := range event.Consumers {
		lossy[c.Name] = c.Lossy
	}
	for _, name := range event.Topology(retry.Demo).QueueNames() {
		if !lossy[name] {
			names = append(names, name)
		}
	}
	return append(names, tapQueue)
}

// owed is who must have applied what.
func owed() (consumers, types []string) {
	for _, c := range event.Consumers {
		for _, kind := range c.Types {
			if !c.Lossy {
				consumers, types = append(consumers, c.Name), append(types, kind)
			}
		}
	}
	return consumers, types
}

// hinted are the queues through which a hint passes.
var hinted = []string{event.ConsumerProvider, tapQueue}

// look counts what is under way now, with the provider's hints or without.
func (h *house) look(ctx context.Context, broker *rabbit.Conn, hints bool) (restless, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := h.books(ctx, hints)
	if err != nil {
		return r, err
	}
	if r.unended, err = h.unended(ctx, hints); err != nil {
		return r, err
	}
	r.queued = map[string]int{}
	for _, name := range queues() {
		depth, err := broker.Depth(ctx, name)
		if err != nil {
			return r, err
		}
		if depth.Ready > 0 && (hints || !slices.Contains(hinted, name)) {
			r.queued[name] = depth.Ready
		}
	}
	if !r.quiet() {
		return r, nil
	}
	consumers, types := owed()
	return r, h.db.Get(ctx, &r.unapplied, unappliedSQL, pq.Array(consumers), pq.Array(types), hints)
}

// books counts what the shop's own rows say is under way, which costs two statements.
func (h *house) books(ctx context.Context, hints bool) (r restless, err error) {
	if err := h.db.Get(ctx, &r, restlessSQL, hints); err != nil {
		return r, err
	}
	r.sagas, err = h.sagas(ctx)
	return r, err
}

// sagasSQL counts those that are neither done nor with a person.
const sagasSQL = `SELECT count(*) FROM sagas WHERE state IN ('running', 'waiting', 'compensating')`

func (h *house) sagas(ctx context.Context) (n int, err error) {
	var has bool
	if err := h.db.Get(ctx, &has, hasRefundsSQL); err != nil || !has {
		return 0, err
	}
	err = h.db.Get(ctx, &n, sagasSQL)
	return n, err
}

// settle waits until nothing is under way and returns how long that took. Two
// looks in a row must agree: what a worker holds unacknowledged is in no count.
func (h *house) settle(ctx context.Context, broker *rabbit.Conn, hints bool, patience time.Duration, say func(string)) (time.Duration, error) {
	began, said := time.Now(), time.Now()
	quietSince := time.Duration(-1)
	for {
		r, err := h.look(ctx, broker, hints)
		took := time.Since(began)
		switch {
		case ctx.Err() != nil:
			return took, ctx.Err()
		case err != nil || !r.quiet():
			quietSince = -1
		case quietSince >= 0:
			return quietSince, nil
		default:
			quietSince = took
		}
		if took > patience {
			return took, fmt.Errorf("%w after %s: %s", errRestless, took.Round(time.Second), describe(r, err))
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			say(fmt.Sprintf("settling for %.0f s: %s", took.Seconds(), describe(r, err)))
		}
		wait(ctx, 250*time.Millisecond)
	}
}

func describe(r restless, err error) string {
	if err != nil {
		return err.Error()
	}
	return r.String()
}

var errRestless = errors.New("the house does not come to rest")

const pendingWebhooksSQL = `SELECT count(*) FROM webhook_messages WHERE state = 'pending'`

// webhooksSent waits until the provider has delivered every webhook. Its schedule
// is its own and may be long: the shop is at rest before, because it asks.
func (h *house) webhooksSent(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		var n int
		err := h.world.Get(ctx, &n, pendingWebhooksSQL)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && n == 0:
			return nil
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("%d webhooks are still to be delivered after %s", n, patience), err)
		}
		wait(ctx, 250*time.Millisecond)
	}
}
