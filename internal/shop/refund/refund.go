package refund

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/idempotency"
)

// States of a refund.
const (
	Pending   = "pending"
	Succeeded = "succeeded"
	Failed    = "failed"
)

// Refund is money on its way back, as the shop knows it.
type Refund struct {
	ID          uuid.UUID      `db:"id"`
	MerchantID  uuid.UUID      `db:"merchant_id"`
	PaymentID   uuid.UUID      `db:"payment_id"`
	OrderID     uuid.UUID      `db:"order_id"`
	Status      string         `db:"status"`
	AmountMinor int64          `db:"amount_minor"`
	Currency    string         `db:"currency"`
	AskedMinor  *int64         `db:"asked_minor"`
	Reason      string         `db:"reason"`
	FailureCode sql.NullString `db:"failure_code"`
	SagaID      uuid.UUID      `db:"saga_id"`
	CreatedAt   time.Time      `db:"created_at"`
}

// ErrNotFound says that there is no such refund, or that it is another's.
var ErrNotFound = errors.New("refund: no such refund")

// Payments is what a refund needs of whoever owns payments.
type Payments interface {
	// ReserveRefund holds r.Amount of a captured payment of r.MerchantID in tx;
	// a zero amount means all that is left. It returns r with what a refund needs
	// to know of the payment, and whether nothing captured is left. The refusals
	// event.ErrNotCaptured and event.ErrExceedsCaptured are outcomes.
	ReserveRefund(ctx context.Context, tx postgres.Tx, r event.Refund) (reserved event.Refund, whole bool, err error)
	// OfCharge locks the captured payment that a charge belongs to and returns what
	// a refund needs to know of it; event.ErrUnknownCharge when there is none.
	OfCharge(ctx context.Context, tx postgres.Tx, charge string) (event.Refund, error)
	// TakeRefund writes that r.Amount of a locked payment has gone back, and whether
	// nothing captured is left; event.ErrRefundUnderWay while another refund of the
	// payment has not ended, event.ErrExceedsCaptured when less is left.
	TakeRefund(ctx context.Context, tx postgres.Tx, r event.Refund) (whole bool, err error)
}

// Reservations is what a refund's saga needs of the owner of payments.
type Reservations interface {
	// LeftAfter says what a reserved refund would leave of its payment, which is
	// locked until tx ends. It is not known while an earlier reservation is open;
	// event.TypeRefundReservationClosed says when that has changed.
	LeftAfter(ctx context.Context, tx postgres.Tx, r event.Refund) (minor int64, known bool, err error)
}

// Renderer makes the bytes of answers.
type Renderer interface {
	// RefundAnswer is the 202 of a refund that was accepted.
	RefundAnswer(r Refund) idempotency.Answer
	// ErrorAnswer renders a refusal that is an outcome.
	ErrorAnswer(ctx context.Context, err error) idempotency.Answer
}

const columns = `id, merchant_id, payment_id, order_id, status, amount_minor, currency, asked_minor, reason, failure_code, saga_id, created_at`

const byIDSQL = `SELECT ` + columns + ` FROM refunds WHERE id = $1 AND merchant_id = $2`

// Refund reads one refund of a merchant; ErrNotFound also for another's.
func (s *Service) Refund(ctx context.Context, merchant, id uuid.UUID) (Refund, error) {
	return one(ctx, s.DB, byIDSQL, id, merchant)
}

const newestSQL = `
SELECT ` + columns + ` FROM refunds
 WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2::uuid) AND ($4::uuid IS NULL OR payment_id = $4::uuid)
 ORDER BY id DESC LIMIT $3`

// Refunds lists a merchant's refunds, or those of one payment, newest first,
// from before a cursor.
func (s *Service) Refunds(ctx context.Context, merchant uuid.UUID, payment, before uuid.NullUUID, limit int) ([]Refund, error) {
	var all []Refund
	err := s.DB.Select(ctx, &all, newestSQL, merchant, before, limit, payment)
	return all, err
}

func one(ctx context.Context, q postgres.Reader, query string, args ...any) (Refund, error) {
	var r Refund
	err := q.Get(ctx, &r, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	return r, err
}
