package refund

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Gateway is the provider's part in the saga, played by the shop: it asks, then
// records. Its messages are applied by [Gateway.Around]; [Gateway.Look] is for
// decisions about [StepRefund].
type Gateway struct {
	Provider provider.Refunder
	Deadline time.Duration // of one call; 0 means 4 s
}

const defaultDeadline = 4 * time.Second

func (g Gateway) within() time.Duration {
	if g.Deadline == 0 {
		return defaultDeadline
	}
	return g.Deadline
}

// Around is the gateway as a consumer of provider.refund.
func (g Gateway) Around() *inbox.Around {
	return saga.Outside{Store: patterns.Sagas, Type: event.CommandRefund, Ask: g.ask, Within: g.within()}.Around()
}

// ProviderKey is the key of a refund at the provider: one for ever.
func ProviderKey(refund uuid.UUID) string { return "refund:" + event.RefundName(refund) }

func (g Gateway) ask(ctx context.Context, c saga.Command, asked bool) error {
	r, err := saga.DataOf[event.Refund](c)
	if err != nil {
		return retry.Permanent(err)
	}
	key := ProviderKey(r.RefundID)
	if asked {
		// It may have happened. The provider's list of refunds outlives its memory
		// of keys, so it is asked before anything is sent again.
		known, found, err := g.Provider.RefundByKey(ctx, key)
		if err != nil {
			return retry.Ambiguous(err)
		}
		if found {
			return verdict(r, known)
		}
	}
	done, err := g.Provider.Refund(ctx, provider.RefundRequest{
		Key: key, ChargeID: r.ProviderChargeID, Reference: event.RefundName(r.RefundID), Amount: r.Amount,
	})
	switch {
	case errors.Is(err, provider.ErrNotSent):
		return retry.Transient(err)
	case errors.Is(err, provider.ErrRefused):
		// Our mistake or theirs, and no word about an earlier try: nothing may be
		// undone for it.
		return retry.Permanent(err)
	case err != nil:
		return retry.Ambiguous(err)
	}
	return verdict(r, done)
}

// verdict is what the provider's books mean for the step. A refund of another
// amount is neither yes nor no: a person has to look.
func verdict(r event.Refund, at provider.Refund) error {
	switch {
	case at.Status == provider.Declined && at.DeclineCode != "":
		return saga.Refuse(at.DeclineCode)
	case at.Status == provider.Declined:
		return saga.Refuse("declined")
	case at.Status != provider.Succeeded, at.Amount != r.Amount, at.ChargeID != r.ProviderChargeID:
		return retry.Permanent(fmt.Errorf("the provider's refund %s is %s, %s of charge %s; asked was %s of %s",
			at.ID, at.Status, at.Amount, at.ChargeID, r.Amount, r.ProviderChargeID))
	}
	return nil
}

// Look asks the provider whether a refund's money is gone, when a person says how
// its saga ended: a saga.Look. A complete listing by the key answers, whatever
// the provider remembers of it. Money of another amount or charge is not this
// refund's: given up, it is booked as what went back by another door (see
// [Notices.Hear]).
func (g Gateway) Look(ctx context.Context, s saga.Saga, as saga.State) error {
	var r event.Refund
	if err := json.Unmarshal(s.Data, &r); err != nil {
		return fmt.Errorf("the data of saga %s: %w", s.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, g.within())
	defer cancel()
	known, found, err := g.Provider.RefundByKey(ctx, ProviderKey(r.RefundID))
	if err != nil {
		return err
	}
	if as == saga.Compensated && !found {
		known, found = g.cancel(ctx, ProviderKey(r.RefundID))
	}
	gone := found && known.Status == provider.Succeeded && known.Amount == r.Amount && known.ChargeID == r.ProviderChargeID
	switch {
	case as == saga.Compensated && gone:
		return saga.Contradict(fmt.Sprintf("the provider gave %s back, as refund %s of charge %s", known.Amount, known.ID, known.ChargeID))
	case as == saga.Completed && !found:
		return saga.Contradict("the provider knows no refund under the key " + ProviderKey(r.RefundID))
	case as == saga.Completed && !gone:
		return saga.Contradict(fmt.Sprintf("the provider's refund %s is %s: %s of charge %s; asked was %s of %s",
			known.ID, known.Status, known.Amount, known.ChargeID, r.Amount, r.ProviderChargeID))
	}
	return nil
}

// cancel has a provider that can do so refuse the key from now on, so that a call
// which arrives even later than expected moves nothing. Its error says as much as
// a provider that cannot: the listing has answered already.
func (g Gateway) cancel(ctx context.Context, key string) (r provider.Refund, found bool) {
	p, able := g.Provider.(provider.RefundCanceller)
	if !able {
		return r, false
	}
	r, err := p.CancelRefund(ctx, key)
	return r, err == nil
}
