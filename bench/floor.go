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

// form is a way to write a capture's two transactions.
type form struct {
	// statements are prepared on each connection, in order.
	statements []once.Statement
	// run executes one capture.
	run func(ctx context.Context, w *writer, a arguments) error
}

// folded is what the product runs: its own statements, by their names.
var folded = form{
	statements: []once.Statement{guarded("capture.claim"), guarded("capture.finalise")},
	run: func(ctx context.Context, w *writer, a arguments) error {
		if err := w.one(ctx, 0, a.values[0]); err != nil {
			return err
		}
		return w.one(ctx, 1, a.values[1])
	},
}

func guarded(name string) once.Statement {
	for _, s := range postgres.GuardedStatements() {
		if s.Name() == name {
			return s.Statement
		}
	}
	panic("bench: the product has no statement called " + name)
}

// plain writes the same rows the way it is written without folding: nine round
// trips. Where two rows of one state stand together a statement takes both, so
// that F1 is a good piece of work and not a straw man.
var plain = form{
	statements: []once.Statement{
		once.Named(`WITH p AS (
		  UPDATE payments SET status = 'capturing', attempt_no = attempt_no + 1, decline_code = NULL
		   WHERE id = @payment::uuid AND merchant_id = @merchant::uuid AND amount_minor = @amount::bigint AND currency = @currency::text
		     AND status IN ('requires_capture', 'declined')
		  RETURNING id, attempt_no, merchant_id, amount_minor, currency)
		INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, card_token,
		                              opened_by, holder, lease_until, next_ask_at, status, traceparent)
		SELECT id, attempt_no, merchant_id, 'capture:pay_' || replace(id::text, '-', '') || ':' || attempt_no, amount_minor, currency, @card::text,
		       @key::text, @holder::uuid, clock_timestamp() + @lease::float8 * interval '1 second', clock_timestamp() + @lease::float8 * interval '1 second', 'sending', @trace::text
		  FROM p`),
		once.Named(`WITH p AS (SELECT @payment::uuid AS subject_id, @attempt::integer AS subject_no), ` + checkout.KeyTable.ClaimFrom("p") + ` SELECT 1`),
		once.Named(`WITH a AS (
		  UPDATE payment_attempts SET status = @attempt_status::text, provider_charge_id = @charge::text, decline_code = @decline_code::text,
		         card_token = NULL, lease_until = NULL, next_ask_at = NULL, finished_at = @at::timestamptz
		   WHERE payment_id = @payment::uuid AND attempt_no = @attempt::integer AND fence = @fence::bigint AND status = 'sending'
		), o AS (
		  UPDATE orders SET status = 'paid' WHERE id = @order::uuid AND status = 'awaiting_payment')
		UPDATE payments SET status = @status::text, decline_code = @decline_code::text, version = version + 1, provider_charge_id = @charge::text, captured_at = @at::timestamptz
		 WHERE id = @payment::uuid AND attempt_no = @attempt::integer AND status = 'capturing'`),
		once.Named(`WITH cur AS (SELECT @payment::uuid AS subject_id, @attempt::integer AS subject_no) ` + checkout.KeyTable.CompleteFrom("cur")),
		once.Named(`WITH cur AS (SELECT 1) ` + patterns.Outbox.Fold("cur", "1")),
	},
	run: runPlain,
}

// runPlain is one capture in nine round trips.
func runPlain(ctx context.Context, w *writer, a arguments) error {
	return errors.Join(
		w.say(ctx, "BEGIN"),
		w.one(ctx, 0, a.values[0]),
		w.one(ctx, 1, a.values[1]),
		w.say(ctx, "COMMIT"),
		w.say(ctx, "BEGIN"),
		w.one(ctx, 2, a.values[2]),
		w.one(ctx, 3, a.values[3]),
		w.one(ctx, 4, a.values[4]),
		w.say(ctx, "COMMIT"),
	)
}

// writer is a connection with its prepared statements.
type writer struct {
	conn       *sql.Conn
	statements []*sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB, f form) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn}
	for _, text := range f.statements {
		s, err := conn.PrepareContext(ctx, text.Text()) //nolint:sqlclosecheck // it ends with its connection
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare: %w", err), conn.Close())
		}
		w.statements = append(w.statements, s)
	}
	return w, nil
}

// one runs a statement that must change, or return, exactly one row.
func (w *writer) one(ctx context.Context, statement int, args []any) error {
	res, err := w.statements[statement].ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("statement %d concerned %d rows: %w", statement, n, err)
	}
	return nil
}

func (w *writer) say(ctx context.Context, text string) error {
	_, err := w.conn.ExecContext(ctx, text)
	return err
}

// arguments are a capture's parameters: those of all its statements, by their names, and
// those of each statement in its order. They are made before the clock starts.
type arguments struct {
	named  once.Args
	values [][]any
}

func argumentsOf(j job, statements []once.Statement) (arguments, error) {
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
	for _, s := range statements {
		a.values = append(a.values, s.Values(a.named))
	}
	return a, nil
}

// floor writes captures as bare SQL, one connection for each client.
func (c *captures) floor(f form) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
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
			if work[i], err = argumentsOf(j, f.statements); err != nil {
				return err
			}
		}
		writers := make([]*writer, c.clients)
		for i := range writers {
			if writers[i], err = newWriter(ctx, c.db, f); err != nil {
				return err
			}
			defer func() { _ = writers[i].conn.Close() }()
		}
		t.start(ctx)
		done, err := together(f, writers, work, t.length)
		return errors.Join(err, c.finish(ctx, t, done, len(work), merchants))
	}
}

// together runs the work on all writers until the time is over.
func together(f form, writers []*writer, work []arguments, length time.Duration) (done int, err error) {
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
				if failures[i] = f.run(context.Background(), w, work[n]); failures[i] == nil {
					finished.Add(1)
				}
			}
		})
	}
	clients.Wait()
	return int(finished.Load()), errors.Join(failures...)
}
