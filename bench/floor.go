package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once"
	"payonce/once/idempotency"
	oncepq "payonce/once/pq"
)

// statements are the two of a capture that the product runs, by their names.
func statements() []once.Statement {
	return []once.Statement{guarded("capture.claim"), guarded("capture.finalise")}
}

func guarded(name string) once.Statement {
	for _, s := range postgres.GuardedStatements() {
		if s.Name() == name {
			return s.Statement
		}
	}
	panic("bench: the product has no statement called " + name)
}

// writer is a connection with its prepared statements.
type writer struct {
	conn       *sql.Conn
	statements []*sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn}
	for _, text := range statements() {
		s, err := conn.PrepareContext(ctx, text.Text()) //nolint:sqlclosecheck // it ends with its connection
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare: %w", err), conn.Close())
		}
		w.statements = append(w.statements, s)
	}
	return w, nil
}

// capture runs each statement, which must return exactly one row.
func (w *writer) capture(ctx context.Context, a arguments) error {
	for i, s := range w.statements {
		res, err := s.ExecContext(ctx, a.values[i]...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("statement %d concerned %d rows: %w", i, n, err)
		}
	}
	return nil
}

// arguments are a capture's parameters: those of all its statements, by their names, and
// those of each statement in its order. They are made before the clock starts.
type arguments struct {
	named  once.Args
	values [][]any
}

func argumentsOf(j job) (arguments, error) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	const lease = 15 * time.Second
	keys, err := idempotency.New(idempotency.Config{DB: oncepq.New(nil, ""), Table: checkout.KeyTable, Secret: []byte("bench"), Lease: lease, TTL: 72 * time.Hour})
	if err != nil {
		return arguments{}, err
	}
	request := idempotency.Request{
		Scope: j.merchant.String(), Key: uuid.NewString(), Operation: "POST /v1/payments/{payment_id}/capture",
		Fields: []idempotency.Field{
			{Pointer: "/payment_id", Value: checkout.PaymentRef(j.payment)}, {Pointer: "/amount_minor", Value: strconv.FormatInt(amount(), 10)},
			{Pointer: "/currency", Value: item.Price.Currency}, {Pointer: "/card_token", Value: cardToken},
		},
	}
	now, chargeID := time.Now().UTC().Truncate(time.Millisecond), "ch_"+uuid.NewString()
	e, err := patterns.NewEvent(j.merchant, j.payment, "payment", j.payment, event.TypePaymentCaptured, event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: j.merchant, OrderID: j.order, PaymentID: j.payment, AttemptNo: 1,
		Amount: money.Of(amount(), item.Price.Currency), ProviderChargeID: chargeID, Email: "bench@example.org", Lines: orderLines(), CapturedAt: now,
	})
	if err != nil {
		return arguments{}, err
	}
	e.Traceparent = trace
	answer := wire.Renderer{}.PaymentAnswer(checkout.Payment{
		ID: j.payment, MerchantID: j.merchant, OrderID: j.order, Status: checkout.Captured, AmountMinor: amount(), Currency: item.Price.Currency,
		AttemptNo: 1, ProviderChargeID: sql.NullString{String: chargeID, Valid: true}, CapturedAt: sql.NullTime{Time: now, Valid: true}, Version: 1, CreatedAt: now,
	}, 200)
	const asked = 0 // of the attempts before the first there is nothing to ask
	a := arguments{named: once.Args{
		"payment": j.payment, "merchant": j.merchant, "order": j.order, "amount": amount(), "currency": item.Price.Currency, "card": cardToken,
		"opened_by": request.Key, "holder": uuid.New(), "lease": lease.Seconds(), "trace": trace, "asked_up_to": asked,
		"attempt": 1, "fence": int64(1), "attempt_status": "succeeded", "charge": chargeID, "decline_code": nil, "at": now, "status": checkout.Captured,
	}.With(keys.ClaimArgs(request, request.Fingerprint([]byte("bench")), uuid.New())).
		With(keys.CompleteArgs(answer, checkout.PaymentRef(j.payment))).With(patterns.EventArgs(context.Background(), e))}
	for _, s := range statements() {
		a.values = append(a.values, s.Values(a.named))
	}
	return a, nil
}

// alone runs the two statements and nothing else, one connection for each client.
func (c *captures) alone(ctx context.Context, t *clock) error {
	payments, n := c.supply(t)
	merchants, err := c.seedMerchants(ctx, n)
	if err != nil {
		return err
	}
	jobs, err := c.seed(ctx, merchants, payments)
	if err != nil {
		return err
	}
	work := make([]arguments, len(jobs))
	for i, j := range jobs {
		if work[i], err = argumentsOf(j); err != nil {
			return err
		}
	}
	writers := make([]*writer, c.clients)
	for i := range writers {
		if writers[i], err = newWriter(ctx, c.db); err != nil {
			return err
		}
		defer func() { _ = writers[i].conn.Close() }()
	}
	// A connection's first five runs of a statement are planned one by one.
	warm := 8 * c.clients
	if done, err := together(writers, work[:warm], time.Minute); err != nil || done != warm {
		return fmt.Errorf("%d of %d captures before the clock: %w", done, warm, err)
	}
	if err := t.startWithLog(ctx, c.db); err != nil {
		return err
	}
	done, err := together(writers, work[warm:], t.length)
	return errors.Join(err, c.finish(ctx, t, done, len(work)-warm), c.verify(ctx, merchants, warm+t.done))
}

// together runs the work on all writers until the time is over.
func together(writers []*writer, work []arguments, length time.Duration) (done int, err error) {
	var (
		next     atomic.Int64
		finished atomic.Int64
		failures = make([]error, len(writers))
		clients  sync.WaitGroup
		until    = time.Now().Add(length)
	)
	for i, w := range writers {
		clients.Go(func() {
			for time.Now().Before(until) && failures[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= len(work) {
					return
				}
				// A context that cannot end costs the driver nothing.
				if failures[i] = w.capture(context.Background(), work[n]); failures[i] == nil {
					finished.Add(1)
				}
			}
		})
	}
	clients.Wait()
	return int(finished.Load()), errors.Join(failures...)
}
