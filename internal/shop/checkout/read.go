package checkout

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

const paymentColumns = `id, merchant_id, order_id, status, amount_minor, currency, refunded_minor, attempt_no,
       provider_charge_id, decline_code, captured_at, version, created_at, unknown_charge_at`

const paymentSQL = `SELECT ` + paymentColumns + ` FROM payments WHERE id = $1 AND merchant_id = $2`

// Payment reads one payment of a merchant; ErrNotFound also for another's.
func (s *Service) Payment(ctx context.Context, merchant, id uuid.UUID) (Payment, error) {
	var p Payment
	err := s.DB.Get(ctx, &p, paymentSQL, id, merchant)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrNotFound
	}
	return p, err
}

const anyPaymentSQL = `SELECT ` + paymentColumns + ` FROM payments WHERE id = $1`

// AnyPayment reads a payment whosever it is: for the operator.
func (s *Service) AnyPayment(ctx context.Context, id uuid.UUID) (Payment, error) {
	var p Payment
	err := s.DB.Get(ctx, &p, anyPaymentSQL, id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrNotFound
	}
	return p, err
}

const paymentsSQL = `
SELECT ` + paymentColumns + ` FROM payments
 WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2::uuid)
 ORDER BY id DESC LIMIT $3`

// Payments lists a merchant's payments, newest first, from before a cursor.
func (s *Service) Payments(ctx context.Context, merchant uuid.UUID, before uuid.NullUUID, limit int) ([]Payment, error) {
	var ps []Payment
	err := s.DB.Select(ctx, &ps, paymentsSQL, merchant, before, limit)
	return ps, err
}

// An unfinished attempt is what keeps a payment undecided, and only few are: the
// index of those makes this cheap however many payments there are.
const undecidedSQL = `
SELECT ` + paymentColumns + ` FROM payments
 WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2::uuid) AND status IN ('capturing', 'in_doubt')
   AND id IN (SELECT payment_id FROM payment_attempts WHERE merchant_id = $1 AND status IN ('sending', 'in_doubt'))
 ORDER BY id DESC LIMIT $3`

// Undecided lists those of a merchant's payments of which the shop does not know yet
// whether they were charged, in the order of [Service.Payments].
func (s *Service) Undecided(ctx context.Context, merchant uuid.UUID, before uuid.NullUUID, limit int) ([]Payment, error) {
	var ps []Payment
	err := s.DB.Select(ctx, &ps, undecidedSQL, merchant, before, limit)
	return ps, err
}

type orderRow struct {
	ID          uuid.UUID     `db:"id"`
	MerchantID  uuid.UUID     `db:"merchant_id"`
	Status      string        `db:"status"`
	Email       event.Address `db:"email"`
	AmountMinor int64         `db:"amount_minor"`
	Currency    string        `db:"currency"`
	Items       []byte        `db:"items"`
	CreatedAt   time.Time     `db:"created_at"`
	Payment     Payment       `db:"p"`
}

const orderColumns = `
       o.id, o.merchant_id, o.status, o.email, o.amount_minor, o.currency, o.items, o.created_at,
       p.id AS "p.id", p.merchant_id AS "p.merchant_id", p.order_id AS "p.order_id", p.status AS "p.status",
       p.amount_minor AS "p.amount_minor", p.currency AS "p.currency", p.refunded_minor AS "p.refunded_minor",
       p.attempt_no AS "p.attempt_no", p.provider_charge_id AS "p.provider_charge_id", p.decline_code AS "p.decline_code",
       p.captured_at AS "p.captured_at", p.version AS "p.version", p.created_at AS "p.created_at"
  FROM orders o JOIN payments p ON p.order_id = o.id`

const orderSQL = `SELECT ` + orderColumns + ` WHERE o.id = $1 AND o.merchant_id = $2`

// Order reads one order of a merchant; ErrNotFound also for another's.
func (s *Service) Order(ctx context.Context, merchant, id uuid.UUID) (Order, error) {
	return readOrder(ctx, s.DB, orderSQL, id, merchant)
}

const ordersSQL = `SELECT ` + orderColumns + `
 WHERE o.merchant_id = $1 AND ($2::uuid IS NULL OR o.id < $2::uuid)
 ORDER BY o.id DESC LIMIT $3`

// Orders lists a merchant's orders, newest first, from before a cursor.
func (s *Service) Orders(ctx context.Context, merchant uuid.UUID, before uuid.NullUUID, limit int) ([]Order, error) {
	var rows []orderRow
	if err := s.DB.Select(ctx, &rows, ordersSQL, merchant, before, limit); err != nil {
		return nil, err
	}
	orders := make([]Order, 0, len(rows))
	for _, r := range rows {
		o, err := r.order()
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

func readOrder(ctx context.Context, q postgres.Reader, query string, args ...any) (Order, error) {
	var r orderRow
	err := q.Get(ctx, &r, query, args...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Order{}, ErrNotFound
	case err != nil:
		return Order{}, err
	}
	return r.order()
}

func (r orderRow) order() (Order, error) {
	o := Order{
		ID: r.ID, MerchantID: r.MerchantID, Status: r.Status, Email: r.Email,
		AmountMinor: r.AmountMinor, Currency: r.Currency, CreatedAt: r.CreatedAt, Payment: r.Payment,
	}
	if err := json.Unmarshal(r.Items, &o.Lines); err != nil {
		return Order{}, fmt.Errorf("stored items of order %s: %w", r.ID, err)
	}
	return o, nil
}

// attempt is one try to charge, with what its outcome needs of payment and
// order.
type attempt struct {
	PaymentID     uuid.UUID      `db:"payment_id"`
	No            int            `db:"attempt_no"`
	MerchantID    uuid.UUID      `db:"merchant_id"`
	ProviderKey   string         `db:"provider_key"`
	AmountMinor   int64          `db:"amount_minor"`
	Currency      string         `db:"currency"`
	CardToken     sql.NullString `db:"card_token"`
	OpenedBy      string         `db:"opened_by"`
	Fence         int64          `db:"fence"`
	Status        string         `db:"status"`
	ChargeID      sql.NullString `db:"provider_charge_id"`
	DeclineCode   sql.NullString `db:"decline_code"`
	Asked         int            `db:"asked"`
	Leased        bool           `db:"leased"`
	Age           float64        `db:"age"` // in seconds, by the database's clock
	Contradicted  bool           `db:"contradicted"`
	Traceparent   string         `db:"traceparent"`
	SentAt        time.Time      `db:"sent_at"`
	OrderID       uuid.UUID      `db:"order_id"`
	PaymentStatus string         `db:"payment_status"`
	Version       int64          `db:"version"`
	RefundedMinor int64          `db:"refunded_minor"`
	CapturedAt    sql.NullTime   `db:"captured_at"`
	PaymentMadeAt time.Time      `db:"payment_created_at"`
	Email         event.Address  `db:"email"`
	Items         []byte         `db:"items"`

	end *final // what this process has just stored
}

// attemptColumns expects a (payment_attempts), p (payments) and o (orders).
const attemptColumns = `a.payment_id, a.attempt_no, a.merchant_id, a.provider_key, a.amount_minor, a.currency, a.card_token, a.opened_by,
       a.fence, a.status, a.provider_charge_id, a.decline_code, a.asked,
       coalesce(a.lease_until > clock_timestamp(), false) AS leased,
       extract(epoch FROM clock_timestamp() - a.sent_at)::float8 AS age,
       EXISTS (SELECT FROM payment_attempts c WHERE c.payment_id = a.payment_id AND c.contradicted_at IS NOT NULL) AS contradicted, a.traceparent, a.sent_at,
       p.order_id, p.status AS payment_status, p.version, p.refunded_minor, p.captured_at, p.created_at AS payment_created_at,
       o.email, o.items`

const attemptSQL = `
SELECT ` + attemptColumns + `
  FROM payment_attempts a
  JOIN payments p ON p.id = a.payment_id
  JOIN orders   o ON o.id = p.order_id
 WHERE a.payment_id = $1 AND a.attempt_no = $2`

func (s *Service) attempt(ctx context.Context, payment uuid.UUID, no int) (attempt, error) {
	var a attempt
	err := s.DB.Get(ctx, &a, attemptSQL, payment, no)
	if errors.Is(err, sql.ErrNoRows) {
		return a, ErrNotFound
	}
	return a, err
}

const beforeFirstSQL = `
SELECT p.id AS payment_id, 0 AS attempt_no, p.merchant_id, p.amount_minor, p.currency, 'not_sent' AS status,
       p.order_id, p.status AS payment_status, p.version, p.refunded_minor, p.captured_at, p.created_at AS payment_created_at,
       o.email, o.items
  FROM payments p JOIN orders o ON o.id = p.order_id
 WHERE p.id = $1`

// latest is the payment's latest attempt. Before the first one it is attempt 0,
// which was never sent.
func (s *Service) latest(ctx context.Context, p Payment) (attempt, error) {
	if p.AttemptNo > 0 {
		return s.attempt(ctx, p.ID, p.AttemptNo)
	}
	var a attempt
	err := s.DB.Get(ctx, &a, beforeFirstSQL, p.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return a, ErrNotFound
	}
	return a, err
}

func (a attempt) unfinished() bool { return a.Status == attemptSending || a.Status == attemptInDoubt }

// payment is the payment as this attempt leaves it in the given state. It is
// rendered before the statement that makes it true, and sent only after it did.
func (a attempt) payment(status string) Payment {
	return Payment{
		ID: a.PaymentID, MerchantID: a.MerchantID, OrderID: a.OrderID, Status: status,
		AmountMinor: a.AmountMinor, Currency: a.Currency, RefundedMinor: a.RefundedMinor, AttemptNo: a.No,
		Version: a.Version, CreatedAt: a.PaymentMadeAt,
	}
}
