package naive

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/shop/money"
	"payonce/once/idempotency"
)

// click is one delivery of "pay".
type click struct {
	key  string
	paid money.Money
	card string
}

func (k click) request(c checkout) idempotency.Request {
	return idempotency.Request{
		Scope: c.Merchant.String(), Key: k.key, Operation: "POST /v1/lab/naive/checkouts/{id}/capture",
		Fields: []idempotency.Field{
			{Pointer: "/id", Value: c.ID.String()},
			{Pointer: "/amount_minor", Value: strconv.FormatInt(k.paid.AmountMinor, 10)},
			{Pointer: "/currency", Value: k.paid.Currency},
			{Pointer: "/card_token", Value: k.card},
		},
	}
}

// attempt is a click on its way to the provider.
type attempt struct {
	checkout
	click
	no    int
	claim uuid.UUID // recognises its own key row
}

// What a click may meet, beside an outcome.
var (
	errAmount = errors.New("the amount is not the checkout's")
	errBusy   = errors.New("a twin is at it")
	errKey    = errors.New("with the guard key on, an Idempotency-Key is needed")
	// errEnded is the end of a request as the death of its process would be: no
	// answer, and nobody goes on.
	errEnded = errors.New("the request ended here")
	// errDoubt is what the naive shop makes of a charge without an answer.
	errDoubt = errors.New("the provider did not answer")
)

// capture charges a checkout, as often as its guards let it.
func (s *Shop) capture(ctx context.Context, c checkout, k click) (idempotency.Answer, error) {
	if k.paid != c.amount() {
		return idempotency.Answer{}, errAmount
	}
	a := attempt{checkout: c, click: k, claim: uuid.New()}
	if c.has(Key) {
		answer, done, err := s.recall(ctx, &a)
		if done || err != nil {
			return answer, err
		}
	}
	if a.no == 0 {
		if answer, done, err := s.begin(ctx, &a); done || err != nil {
			return answer, err
		}
	}
	// Once begun it is seen through: a buyer who hangs up must not cancel it.
	ctx = context.WithoutCancel(ctx)
	charge, err := s.charge(ctx, a)
	if err != nil {
		return idempotency.Answer{}, err
	}
	if strikes(ctx, s.db, c.ID, EndAfterCharge) {
		return idempotency.Answer{}, errEnded
	}
	return s.finish(ctx, a, charge)
}

// recall looks the key up. A stored answer is done; a run whose lease is over is
// taken on, under the number that it had.
func (s *Shop) recall(ctx context.Context, a *attempt) (answer idempotency.Answer, done bool, err error) {
	if a.key == "" {
		return answer, false, errKey
	}
	row, found, err := s.keys.Lookup(ctx, a.Merchant.String(), a.key)
	if err != nil || !found {
		return answer, false, err
	}
	if a.has(RequestHash) {
		r := a.request(a.checkout)
		if err := row.Match(r, r.Fingerprint(s.keys.Secret)); err != nil {
			return answer, false, err
		}
	}
	switch {
	case row.Completed():
		answer, err = row.Answer()
		return answer, true, err
	case row.Leased || row.Subject != a.ID.String():
		return answer, false, errBusy
	}
	a.no = row.SubjectNo
	return answer, false, nil
}

// answerOf is what a buyer is told of a checkout that has its outcome.
func answerOf(c checkout) idempotency.Answer {
	status := http.StatusOK
	if c.Status == "declined" {
		status = http.StatusPaymentRequired
	}
	body, err := json.Marshal(map[string]any{
		"id": c.name(), "status": c.Status, "amount_minor": c.AmountMinor, "currency": c.Currency,
	})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return idempotency.Answer{Status: status, ContentType: wire.JSON, Body: body}
}
