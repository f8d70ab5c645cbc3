package refund

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/saga"
)

// Config is what a [Service] needs.
type Config struct {
	DB       *postgres.DB
	Keys     *idempotency.Keys
	Payments Payments
	Story    saga.Definition
	Render   Renderer
	Observer observe.Observer // nil means nobody
	Wake     func()           // hurries the relay after commits; nil means nobody
	Now      func() time.Time
}

// Service accepts refunds.
type Service struct{ Config }

// New makes a Service; missing parts of cfg get their defaults.
func New(cfg Config) *Service {
	if cfg.Observer == nil {
		cfg.Observer = observe.Nobody{}
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	return &Service{Config: cfg}
}

// Ask asks for a refund.
type Ask struct {
	Merchant uuid.UUID
	Key      string
	Payment  uuid.UUID
	Amount   *int64 // minor units; nil means what is left
	Reason   string
}

func (a Ask) request() idempotency.Request {
	r := idempotency.Request{
		Scope: a.Merchant.String(), Key: a.Key, Operation: "POST /v1/refunds",
		Fields: []idempotency.Field{{Pointer: "/payment_id", Value: event.PaymentName(a.Payment)}, {Pointer: "/reason", Value: a.Reason}},
	}
	if a.Amount != nil {
		r.Fields = append(r.Fields, idempotency.Field{Pointer: "/amount_minor", Value: strconv.FormatInt(*a.Amount, 10)})
	}
	return r
}

// Result is the answer to one delivery.
type Result struct {
	Answer   idempotency.Answer
	Replayed bool
	Refused  bool
}

// Request makes one refund with its saga per key. The effect is ours alone, so
// key, reservation, refund, saga, event and answer are one transaction: a crash
// leaves nothing, a twin waits and reads the winner. When the key's own lifetime
// is over, a retry meets its refund by (payment, key) and reads it.
func (s *Service) Request(ctx context.Context, a Ask) (Result, error) {
	out, err := s.Keys.Do(ctx, a.request(), func(tx once.Tx) (idempotency.Answer, string, error) {
		r, err := s.make(ctx, postgres.Reading(tx), a)
		if err != nil {
			return idempotency.Answer{}, "", err
		}
		return s.Render.RefundAnswer(r), event.RefundName(r.ID), nil
	})
	if errors.Is(err, event.ErrNotCaptured) || errors.Is(err, event.ErrExceedsCaptured) {
		return s.refuse(ctx, a, err)
	}
	if err != nil {
		return Result{}, err
	}
	kind := observe.Committed
	if out.Replayed {
		kind = observe.Replayed
	} else {
		s.Wake()
	}
	s.tell(ctx, kind, a, "")
	return Result{Answer: out.Answer, Replayed: out.Replayed, Refused: out.Answer.Status >= 400}, nil
}

// refuse stores a refusal that is an outcome, so that its retry gets the same.
func (s *Service) refuse(ctx context.Context, a Ask, why error) (Result, error) {
	out, err := s.Keys.Store(ctx, a.request(), s.Render.ErrorAnswer(ctx, why), "")
	if err != nil {
		return Result{}, err
	}
	s.tell(ctx, observe.Rejected, a, why.Error())
	return Result{Answer: out.Answer, Replayed: out.Replayed, Refused: true}, nil
}

const (
	byRequestSQL = `SELECT ` + columns + ` FROM refunds WHERE payment_id = $1 AND request_key = $2 AND merchant_id = $3`

	insertSQL = `
INSERT INTO refunds (id, merchant_id, payment_id, order_id, request_key, amount_minor, currency, asked_minor, reason, saga_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING ` + columns
)

// make writes a refund and everything that belongs to it, or finds the one that
// this request made before.
func (s *Service) make(ctx context.Context, tx postgres.Tx, a Ask) (Refund, error) {
	before, err := one(ctx, tx, byRequestSQL, a.Payment, a.Key, a.Merchant)
	if err == nil {
		same := Ask{Merchant: before.MerchantID, Key: a.Key, Payment: before.PaymentID, Amount: before.AskedMinor, Reason: before.Reason}
		return before, a.request().Match(same.request())
	}
	if !errors.Is(err, ErrNotFound) {
		return before, err
	}
	asked := event.Refund{RefundID: uuid.Must(uuid.NewV7()), MerchantID: a.Merchant, PaymentID: a.Payment}
	if a.Amount != nil {
		asked.Amount = money.Of(*a.Amount, "")
	}
	data, whole, err := s.Payments.ReserveRefund(ctx, tx, asked)
	if err != nil {
		return Refund{}, err
	}
	story := uuid.Must(uuid.NewV7())
	r, err := one(ctx, tx, insertSQL, data.RefundID, data.MerchantID, data.PaymentID, data.OrderID, a.Key,
		data.Amount.AmountMinor, data.Amount.Currency, a.Amount, a.Reason, story)
	if err != nil {
		return r, err
	}
	return r, s.begin(ctx, tx, story, data, r, whole)
}

// begin starts the saga of a refund.
func (s *Service) begin(ctx context.Context, tx postgres.Tx, story uuid.UUID, data event.Refund, r Refund, whole bool) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var skip []string
	if !whole {
		skip = []string{StepVoid}
	}
	if err := s.Story.Open(ctx, tx, saga.Saga{
		ID: story.String(), Scope: r.MerchantID.String(), Correlation: r.PaymentID.String(), Subject: r.ID.String(), Data: raw,
	}, skip...); err != nil {
		return err
	}
	e, err := patterns.NewEvent(r.MerchantID, r.PaymentID, "refund", r.ID, event.TypeRefundRequested, event.RefundRequested{
		Schema: event.SchemaVersion, Refund: data, Reason: r.Reason, RequestedAt: r.CreatedAt.UTC(),
	})
	if err != nil {
		return err
	}
	e.AggregateVersion = 1
	return patterns.Append(ctx, tx, e)
}

func (s *Service) tell(ctx context.Context, kind observe.Kind, a Ask, detail string) {
	node := "api"
	if kind == observe.Committed {
		node = "postgres"
	}
	s.Observer.Observe(ctx, observe.Event{
		Kind: kind, Node: node, Scope: a.Merchant, Correlation: a.Payment, Operation: "refund", Key: a.Key, Detail: detail, At: s.Now(),
	})
}
