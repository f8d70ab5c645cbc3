package reconciliation

import (
	"context"
	"errors"
	"slices"
	"time"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
)

// batch is how many rows are looked up together.
const batch = 500

const day = 24 * time.Hour

// longest is how far back a turn lists, at most.
const longest = 30 * day

// since is the beginning of yesterday, in UTC; or of the day before the oldest open
// alert about money at the provider, so that what a person decides later is compared,
// and booked, all the same.
func (j *Job) since(ctx context.Context) (time.Time, error) {
	now := j.cfg.Now().UTC()
	from := now.Truncate(day).Add(-day)
	oldest, err := alert.Oldest(ctx, j.cfg.DB, provider.AlertContradiction, refund.AlertUnknown, checkout.AlertUnknownCharge, checkout.AlertAmount)
	if err != nil || !oldest.Valid {
		return from, err
	}
	alerted := oldest.Time.UTC().Truncate(day).Add(-day)
	if limit := now.Add(-longest).Truncate(day); alerted.Before(limit) {
		alerted = limit
	}
	if alerted.Before(from) {
		from = alerted
	}
	return from, nil
}

// compare asks for both lists and then hears what differs, one row per
// transaction: what cannot be applied does not stop the others.
func (j *Job) compare(ctx context.Context) error {
	from, err := j.since(ctx)
	if err != nil {
		return err
	}
	charges, err := j.cfg.Provider.ChargesSince(ctx, from)
	if err != nil {
		return err
	}
	refunds, err := j.cfg.Provider.RefundsSince(ctx, from)
	if err != nil {
		return err
	}
	j.compared.Add(int64(len(charges) + len(refunds)))
	differed := j.differed.Load()
	err = errors.Join(j.charges(ctx, charges, refunds), j.refunds(ctx, refunds))
	if n := j.differed.Load() - differed; n > 0 {
		j.cfg.Log.Warn("the provider's books and ours differed", "rows", n)
		j.cfg.Wake()
	}
	return err
}

// charges hears the charges that our books do not agree with. One that was wholly
// given back ends the operator's alert about it.
func (j *Job) charges(ctx context.Context, charges []provider.Charge, refunds []provider.Refund) (all error) {
	back := map[string][]provider.Refund{}
	for _, r := range refunds {
		back[r.ChargeID] = append(back[r.ChargeID], r)
	}
	for some := range slices.Chunk(charges, batch) {
		differing, err := j.cfg.Charges.Service.Differing(ctx, some)
		if err != nil {
			return errors.Join(all, err)
		}
		for _, c := range differing {
			if h := provider.Hold(c, back[c.ID]); c.Status == provider.Succeeded && !h.Alive() {
				all = errors.Join(all, alert.ResolveAlone(ctx, j.cfg.DB, c.ID, checkout.AlertUnknownCharge))
				continue
			}
			if c.Status == provider.Cancelled {
				continue // a tombstone moved nothing
			}
			all = errors.Join(all, j.hear(ctx, func(tx postgres.Tx) error { return j.cfg.Charges.Hear(ctx, tx, chargeOf(c)) }))
		}
	}
	return all
}

// refunds hears the refunds that our books do not agree with. A contradiction about one
// that they agree with is over: a message said what the books do not.
func (j *Job) refunds(ctx context.Context, refunds []provider.Refund) (all error) {
	var apart []provider.Refund
	for some := range slices.Chunk(refunds, batch) {
		differing, err := refund.Differing(ctx, j.cfg.DB, some)
		if err != nil {
			return errors.Join(all, err)
		}
		apart = append(apart, differing...)
		for _, r := range differing {
			all = errors.Join(all, j.hear(ctx, func(tx postgres.Tx) error { return j.cfg.Refunds.Hear(ctx, tx, refundOf(r)) }))
		}
	}
	open, err := alert.Open(ctx, j.cfg.DB, provider.AlertContradiction)
	if err != nil {
		return errors.Join(all, err)
	}
	for _, name := range refund.Agreed(refunds, apart) {
		if slices.Contains(open, name) {
			all = errors.Join(all, alert.ResolveAlone(ctx, j.cfg.DB, name, provider.AlertContradiction))
		}
	}
	return all
}

func (j *Job) hear(ctx context.Context, f func(tx postgres.Tx) error) error {
	j.differed.Add(1)
	return postgres.InTx(ctx, j.cfg.DB, f)
}

func chargeOf(c provider.Charge) event.ProviderCharge {
	return event.ProviderCharge{
		Schema: event.SchemaVersion, MessageID: "reconciliation", ChargeID: c.ID, Reference: c.Reference, ProviderKey: c.IdempotencyKey,
		Amount: c.Amount, Status: string(c.Status), DeclineCode: c.DeclineCode, SentAt: c.CreatedAt,
	}
}

func refundOf(r provider.Refund) event.ProviderRefund {
	return event.ProviderRefund{
		Schema: event.SchemaVersion, MessageID: "reconciliation", RefundID: r.ID, ChargeID: r.ChargeID, Reference: r.Reference,
		ProviderKey: r.IdempotencyKey, Amount: r.Amount, Status: string(r.Status), DeclineCode: r.DeclineCode, SentAt: r.CreatedAt,
	}
}
