package naive

import (
	"context"
	"errors"
	"net/http"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/reply"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// notice is a webhook as the naive shop reads it: what it needs, and nothing about
// who sent it, when, or whether it was here before.
type notice struct {
	Type string `json:"type"`
	Data struct {
		ID          string `json:"id"`
		AmountMinor int64  `json:"amount_minor"`
		Currency    string `json:"currency"`
	} `json:"data"`
}

// hear does what a message says, each time that it comes: no signature, no
// receipt. With the business key on, a checkout that has its outcome stays as it
// is, and a copy does nothing after all.
func (s *Shop) hear(ctx context.Context, c checkout, t notice) error {
	paid := money.Of(t.Data.AmountMinor, t.Data.Currency)
	c.AmountMinor, c.Currency = paid.AmountMinor, paid.Currency
	outcome := provider.Charge{ID: t.Data.ID, Reference: c.name(), Amount: paid, Status: provider.Declined}
	if t.Type == "charge.succeeded" {
		outcome.Status = provider.Succeeded
	}
	_, err := s.finish(ctx, attempt{checkout: c}, outcome)
	if errors.Is(err, errBusy) {
		return nil
	}
	return err
}

// hook is POST /v1/lab/naive/checkouts/{id}/webhook.
func (r *routes) hook(w http.ResponseWriter, q *http.Request) {
	var t notice
	if !reply.Read(w, q, r.schemas["NaiveWebhook"].Value, &t) {
		return
	}
	c, ok := r.mine(w, q)
	if !ok {
		return
	}
	err := r.hear(context.WithoutCancel(q.Context()), c, t)
	switch {
	case errors.Is(err, errEnded):
		panic(http.ErrAbortHandler)
	case err != nil:
		r.log.Info("a naive webhook failed", "checkout", c.name(), "error", err)
		reply.Refuse(w, q, wire.KindInternal, "The naive shop could not do what the webhook said.")
	default:
		reply.JSON(w, http.StatusOK, map[string]any{"id": c.name()})
	}
}
