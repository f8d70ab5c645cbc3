package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/program"
)

// arrivalLine measures how long after a capture its effects are there, a hundred captures
// a second, beside the way of one event by other libraries as they are delivered.
func arrivalLine(h *house) line {
	a := &arrivals{captures: captures{house: h, clients: arrivalClients}}
	return line{
		Name: "arrival", Title: "From the event's row to its effects, 100 captures a second", Unit: "milliseconds, median", Half: 1,
		Shown: median,
		Notes: []string{
			"payonce: from the event's row in the transaction of the capture until ledger, tickets and receipt are all written, by api, relay and worker as they are delivered; the times are Postgres's. Captures begin by a clock, whether or not the ones before have been answered.",
			"The others: from before the commit of a row until a bare consumer has the message, which writes nothing. One event a transaction, as many a second.",
		},
		Contenders: []contender{
			{Name: "payonce", Title: "capture → ledger, tickets and receipt written", Slice: a.payonce},
			{Name: "river", Title: "River by its defaults: row → message", Slice: a.peer(h.riverPeer)},
			{Name: "watermill", Title: "Watermill's forwarder by its defaults: row → message", Slice: a.peer(h.watermillPeer)},
		},
		Ratios: []ratio{
			{Of: "payonce", To: "river", Target: 0.3, AtMost: true},
			{Of: "payonce", To: "watermill", Target: 0.05, AtMost: true},
		},
		Limits: []limit{
			{Of: "payonce", What: "ms, median", Most: 15, Value: median},
			{Of: "payonce", What: "ms, 99th of a hundred", Most: 60, Value: func(s slice) float64 { return s.P99Millis }},
		},
		Open: a.open,
	}
}

func median(s slice) float64 { return s.P50Millis }

const (
	arrivalsASecond = 100
	arrivalClients  = 25
	// At a hundred a second two seconds have no 99th of a hundred worth its name.
	arrivalLength = 5 * time.Second
)

// arrivals is the whole shop while the line runs.
type arrivals struct {
	captures
	relay, worker *program.Program
	box           *mailbox
}

func (a *arrivals) open(ctx context.Context) (end func() error, err error) {
	endCaptures, err := a.captures.open(ctx)
	if err != nil {
		return endCaptures, err
	}
	end = func() error {
		problems := []error{}
		for _, p := range []*program.Program{a.worker, a.relay} {
			if p != nil {
				problems = append(problems, stop(p))
			}
		}
		if a.box != nil {
			problems = append(problems, a.box.server.Close())
		}
		return errors.Join(append(problems, endCaptures())...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if a.box, err = newMailbox(); err != nil {
		return end, err
	}
	if a.relay, err = a.startRelay(ctx); err != nil {
		return end, err
	}
	a.worker, err = a.startWorker(ctx, a.box.address)
	return end, err
}

func (a *arrivals) payonce(ctx context.Context, t *clock) error {
	length := max(t.length, arrivalLength)
	sandboxes, err := newSandboxes(ctx, a.folded.URL, arrivalClients)
	if err != nil {
		return err
	}
	merchants := merchantsOf(sandboxes)
	jobs, err := a.seed(ctx, merchants, int(length.Seconds()*arrivalsASecond)+arrivalClients)
	if err != nil {
		return err
	}
	l := newLoad(a.folded.URL, "", sandboxes, jobs)
	l.every = time.Second * arrivalClients / arrivalsASecond
	t.start(ctx)
	l.run(arrivalClients, length)
	t.stop(l.captured())
	if err := l.problem(); err != nil {
		return err
	}
	answered, late := percentiles(l.latencies())
	t.note("answer p50 ms", answered)
	t.note("answer p99 ms", late)
	return a.arrived(ctx, t, merchants)
}

const arrivedSQL = `
SELECT extract(epoch FROM (greatest(l.posted_at, k.issued_at, m.queued_at) - e.created_at))::float8,
       extract(epoch FROM (m.sent_at - e.created_at))::float8
  FROM outbox_events e
  JOIN ledger_transactions l ON l.event_id = e.event_id
  JOIN LATERAL (SELECT max(issued_at) AS issued_at FROM tickets WHERE payment_id = e.aggregate_id) k ON k.issued_at IS NOT NULL
  JOIN emails m ON m.payment_id = e.aggregate_id AND m.sent_at IS NOT NULL
 WHERE e.merchant_id = ANY ($1) AND e.type = 'payment.captured'`

// arrived waits until every capture has all of its effects, and reads how long each took.
func (a *arrivals) arrived(ctx context.Context, t *clock, merchants []uuid.UUID) error {
	var sent []time.Duration
	err := until(ctx, 30*time.Second, func() (bool, error) {
		rows, err := a.db.QueryContext(ctx, arrivedSQL, pq.Array(merchants))
		if err != nil {
			return false, err
		}
		defer func() { _ = rows.Close() }()
		t.latency, sent = nil, nil
		for rows.Next() {
			var written, mailed float64
			if err := rows.Scan(&written, &mailed); err != nil {
				return false, err
			}
			t.latency, sent = append(t.latency, seconds(written)), append(sent, seconds(mailed))
		}
		return len(t.latency) == t.done, rows.Err()
	})
	if err != nil {
		return fmt.Errorf("%d of %d captures have all effects: %w", len(t.latency), t.done, err)
	}
	p50, p99 := percentiles(sent)
	t.note("mail sent p50 ms", p50)
	t.note("mail sent p99 ms", p99)
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// stamped is a peer's event: when it was about to be committed.
type stamped struct {
	At time.Time `json:"at"`
}

// peer measures another library, which runs for this slice only.
func (a *arrivals) peer(begin func(ctx context.Context, tuned bool) (*peer, error)) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) (err error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		p, err := begin(ctx, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.end()) }()
		return a.withChannel(func(ch *amqp.Channel) error {
			messages, err := ch.ConsumeWithContext(ctx, peerQueue, "", true, false, false, false, nil)
			if err != nil {
				return err
			}
			return p.beat(ctx, t, messages)
		})
	}
}

// beat commits events by a clock, and notes when each is delivered.
func (p *peer) beat(ctx context.Context, t *clock, messages <-chan amqp.Delivery) error {
	n := int(max(t.length, arrivalLength).Seconds() * arrivalsASecond)
	var writers sync.WaitGroup
	problems := make([]error, n)
	t.start(ctx)
	for i := range n {
		writers.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / arrivalsASecond)
			problems[i] = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
				payload, err := json.Marshal(stamped{time.Now()})
				if err != nil {
					return err
				}
				return p.add(ctx, tx, [][]byte{payload})
			})
		})
	}
	limit := time.After(max(t.length, arrivalLength) + 30*time.Second)
	for len(t.latency) < n {
		select {
		case m := <-messages:
			var event stamped
			if err := json.Unmarshal(m.Body, &event); err != nil {
				return fmt.Errorf("a message is no event: %w", err)
			}
			t.latency = append(t.latency, time.Since(event.At))
		case <-limit:
			return fmt.Errorf("%d of %d events were delivered: %w", len(t.latency), n, errors.Join(problems...))
		}
	}
	writers.Wait()
	t.stop(n)
	return errors.Join(problems...)
}
