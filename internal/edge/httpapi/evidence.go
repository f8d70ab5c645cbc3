package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/once/idempotency"
)

// capturesSQL is every attempt to pay, for the list and for the proof. A process
// that is killed journals nothing of the attempt that it was at; what it had begun
// is in the row that another process took over, and is counted from there until the
// first one, which may only have slept, journals it after all. Rows go by age: while
// an earlier attempt is there, placing the order as a rule, none that followed is gone.
const capturesSQL = `
SELECT id, operation, idempotency_key, fate, status_code, latency_us, trace_id, at
  FROM attempts
 WHERE payment_id = $1 AND merchant_id = $2 AND operation = 'capture'
UNION ALL
SELECT uuid_v7_floor(a.sent_at), 'capture', a.opened_by, 'interrupted', 0, 0, substr(a.traceparent, 4, 32), a.sent_at
  FROM payment_attempts a
 WHERE a.payment_id = $1 AND a.merchant_id = $2 AND a.fence > 1
   AND EXISTS (SELECT FROM attempts t WHERE t.payment_id = a.payment_id AND t.at <= a.sent_at)
   AND NOT EXISTS (SELECT FROM attempts t WHERE t.payment_id = a.payment_id AND t.trace_id = substr(a.traceparent, 4, 32))`

// Attempts to place the order are not attempts to pay.
const attemptsSQL = `
SELECT * FROM (` + capturesSQL + `) a
 WHERE $3::uuid IS NULL OR id < $3::uuid
 ORDER BY id DESC LIMIT $4`

type attemptRow struct {
	ID        uuid.UUID `db:"id"`
	Operation string    `db:"operation"`
	Key       string    `db:"idempotency_key"`
	Fate      string    `db:"fate"`
	Status    int       `db:"status_code"`
	LatencyUS int64     `db:"latency_us"`
	TraceID   string    `db:"trace_id"`
	At        time.Time `db:"at"`
}

func (r attemptRow) view() wire.Attempt {
	return wire.Attempt{
		ID: wire.PrefixAttempt.ID(r.ID), Operation: wire.AttemptOperation(r.Operation), IdempotencyKey: r.Key, Fate: wire.Fate(r.Fate),
		StatusCode: r.Status, LatencyMs: time.Duration(r.LatencyUS * 1000).Round(time.Millisecond).Milliseconds(), TraceID: r.TraceID, At: wire.At(r.At),
	}
}

// ListAttempts is GET /v1/payments/{id}/attempts.
func (s *server) ListAttempts(ctx context.Context, r gen.ListAttemptsRequestObject) (gen.ListAttemptsResponseObject, error) {
	ctx = detach(ctx)
	payment, err := s.payment(ctx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(wire.PrefixAttempt, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	s.settle(ctx)
	var rows []attemptRow
	if err := s.DB.Select(ctx, &rows, attemptsSQL, payment.ID, payment.MerchantID, p.before, p.limit+1); err != nil {
		return nil, err
	}
	rows, next := cut(p, rows, func(r attemptRow) uuid.UUID { return r.ID })
	list := make([]wire.Attempt, 0, len(rows))
	for _, row := range rows {
		list = append(list, row.view())
	}
	return gen.ListAttempts200JSONResponse{Data: list, NextCursor: next, Dropped: s.Journal.Dropped()}, nil
}

// settle writes what this process has still in its buffer, so that a client
// which asks right after its answer finds its own attempt. It is a courtesy:
// when it fails, the rows come a moment later.
func (s *server) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.Journal.Flush(ctx); err != nil {
		s.Log.Debug("journal not settled", "request_id", requestID(ctx), "error", err)
	}
}

// GetIdempotencyKey is GET /v1/idempotency-keys/{key}. The stored body stays
// where it is: whoever may see it repeats the request.
func (s *server) GetIdempotencyKey(ctx context.Context, r gen.GetIdempotencyKeyRequestObject) (gen.GetIdempotencyKeyResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	if !idempotency.Possible(r.Key) {
		return nil, errNotFound
	}
	row, found, err := s.Keys.Lookup(ctx, merchant.String(), r.Key)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, errNotFound
	}
	v := wire.IdempotencyRecord{
		Key: r.Key, Status: wire.IdempotencyRecordStatus(row.Status), Operation: row.Operation,
		CreatedAt: wire.At(row.CreatedAt), ExpiresAt: wire.At(row.ExpiresAt),
	}
	switch {
	case row.Resource != "":
		v.Resource = &row.Resource
	case row.Subject != "":
		payment, err := uuid.Parse(row.Subject)
		if err != nil {
			return nil, err
		}
		id := wire.PrefixPayment.ID(payment)
		v.Resource = &id
	}
	return gen.GetIdempotencyKey200JSONResponse(v), nil
}
