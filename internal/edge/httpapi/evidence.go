package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/pattern/idempotency"
)

// Attempts to place the order are not attempts to pay; the payment's list shows
// captures only, as the proof counts them.
const attemptsSQL = `
SELECT id, operation, idempotency_key, fate, status_code, latency_us, trace_id, at
  FROM attempts
 WHERE payment_id = $1 AND merchant_id = $2 AND operation = 'capture' AND ($3::uuid IS NULL OR id < $3::uuid)
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
	row, found, err := s.Keys.Lookup(ctx, merchant, r.Key)
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
	case row.Resource.Valid && row.Resource.String != "":
		v.Resource = &row.Resource.String
	case row.SubjectID.Valid:
		id := wire.PrefixPayment.ID(row.SubjectID.UUID)
		v.Resource = &id
	}
	return gen.GetIdempotencyKey200JSONResponse(v), nil
}
