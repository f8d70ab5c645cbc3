package audit

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// outside is what the world said, before our own tables were read.
type outside struct {
	asked    map[uuid.UUID]bool // the payments that were asked about
	charges  map[string][]provider.Charge
	refunds  map[string][]provider.Refund // by the charge
	balance  map[string]int64             // only in a look at everything
	provider error                        // why the provider could not be asked

	mails   map[string][]Mail // by the payment that they speak of
	mailbox error
}

const seenSQL = `
SELECT s.id, s.created_at FROM seen s`

type seenPayment struct {
	ID        uuid.UUID `db:"id"`
	CreatedAt time.Time `db:"created_at"`
}

var (
	seenQuery  = scoped(seenSQL)
	factsQuery = scoped(factsSQL)
)

func (p *pass) askWorld(ctx context.Context) error {
	var seen []seenPayment
	if err := p.rows(ctx, seenQuery, &seen); err != nil {
		return err
	}
	p.outside.asked = make(map[uuid.UUID]bool, len(seen))
	for _, s := range seen {
		p.outside.asked[s.ID] = true
	}
	p.outside.provider = p.askProvider(ctx, seen)
	p.outside.mailbox = p.askMailbox(ctx, seen)
	return nil
}

// askProvider lists the charges of the payments in scope; in a look at
// everything, all charges there are, also those that name no payment of ours.
func (p *pass) askProvider(ctx context.Context, seen []seenPayment) error {
	if p.Books == nil {
		return &blindError{"there is no provider to ask"}
	}
	p.outside.charges = map[string][]provider.Charge{}
	p.outside.refunds = map[string][]provider.Refund{}
	var err error
	if p.scope.newest == 0 {
		if p.outside.balance, err = p.Books.Balance(ctx); err == nil {
			err = p.Books.EachCharge(ctx, func(c provider.Charge) error {
				p.outside.charges[c.Reference] = append(p.outside.charges[c.Reference], c)
				return nil
			})
		}
		if err == nil {
			err = p.Books.EachRefund(ctx, func(r provider.Refund) error {
				p.outside.refunds[r.ChargeID] = append(p.outside.refunds[r.ChargeID], r)
				return nil
			})
		}
	} else {
		err = p.askEach(ctx, seen)
	}
	if err != nil {
		return &blindError{"the provider cannot be asked now"}
	}
	return nil
}

// parallel bounds the questions that are with the provider at once.
const parallel = 8

// askEach asks by reference, and gives up at the first answer that fails to come.
func (p *pass) askEach(ctx context.Context, seen []seenPayment) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		slot = make(chan struct{}, parallel)
	)
	for _, s := range seen {
		slot <- struct{}{}
		wg.Go(func() {
			defer func() { <-slot }()
			if ctx.Err() != nil {
				return
			}
			name := event.PaymentName(s.ID)
			charges, refunds, err := p.askOne(ctx, name)
			if err != nil {
				giveUp(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			p.outside.charges[name] = charges
			maps.Copy(p.outside.refunds, refunds)
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// askOne lists the charges of a payment, and what went back of those that succeeded.
func (p *pass) askOne(ctx context.Context, name string) ([]provider.Charge, map[string][]provider.Refund, error) {
	charges, err := p.Books.ChargesByReference(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	refunds := map[string][]provider.Refund{}
	for _, c := range charges {
		if c.Status != provider.Succeeded {
			continue
		}
		if refunds[c.ID], err = p.Books.RefundsOfCharge(ctx, c.ID); err != nil {
			return nil, nil, err
		}
	}
	return charges, refunds, nil
}

// factsSQL is what our own books say about the payments in scope. It is read
// after the world was asked: a charge that the world named was claimed before.
const factsSQL = `
SELECT s.merchant_id, s.id, s.name, s.status, s.amount_minor, s.currency, s.provider_charge_id, s.young,
       s.status IN ('captured', 'partially_refunded', 'refunded') AS captured,` +
	namedSQL + ` AS named,` + bookedSQL + ` AS booked
  FROM seen s`

type fact struct {
	Merchant    uuid.NullUUID `db:"merchant_id"`
	ID          uuid.UUID     `db:"id"`
	Name        string        `db:"name"`
	Status      string        `db:"status"`
	AmountMinor int64         `db:"amount_minor"`
	Currency    string        `db:"currency"`
	ChargeID    *string       `db:"provider_charge_id"`
	Young       bool          `db:"young"`
	Captured    bool          `db:"captured"`
	Named       string        `db:"named"`
	Booked      string        `db:"booked"`

	charges []provider.Holding // those that succeeded
	back    []provider.Refund  // of the payment's own charge
	named   []alert.Money
	booked  map[string]int64 // by the object
}

func (f fact) violation() violation { return violation{Merchant: f.Merchant, Name: f.Name} }

// read takes the columns of JSON apart.
func (f *fact) read() error {
	return errors.Join(json.Unmarshal([]byte(f.Named), &f.named), json.Unmarshal([]byte(f.Booked), &f.booked))
}

// facts joins our books with the provider's. Payments that came into being
// since the world was asked are left for the next pass.
func (p *pass) facts(ctx context.Context) ([]fact, error) {
	if p.outside.provider != nil {
		return nil, p.outside.provider
	}
	var all, asked []fact
	if err := p.rows(ctx, factsQuery, &all); err != nil {
		return nil, err
	}
	for _, f := range all {
		if p.outside.asked[f.ID] {
			f.charges = p.held(p.outside.charges[f.Name])
			f.back = f.wentBack(p.outside.refunds)
			if err := f.read(); err != nil {
				return nil, err
			}
			asked = append(asked, f)
		}
	}
	return asked, nil
}

// held are the charges that succeeded, with what went back of each.
func (p *pass) held(charges []provider.Charge) (succeeded []provider.Holding) {
	for _, c := range charges {
		if c.Status == provider.Succeeded {
			succeeded = append(succeeded, provider.Hold(c, p.outside.refunds[c.ID]))
		}
	}
	return succeeded
}

// alive are the charges of which the provider holds something.
func alive(charges []provider.Holding) (some []provider.Holding) {
	for _, h := range charges {
		if h.Alive() {
			some = append(some, h)
		}
	}
	return some
}

const knownSQL = `SELECT id FROM payments WHERE id = ANY ($1::uuid[])`

// stray is a charge of no payment of ours; an open alert may name it.
type stray struct {
	provider.Holding
	named bool
}

const namedStraysSQL = `
SELECT coalesce(jsonb_agg(facts), '[]')::text FROM alerts WHERE state = 'open' AND kind = 'provider_unknown_charge' AND facts ? 'object'`

// strays are charges that name no payment of ours and are alive. Only a look at
// everything can see them.
func (p *pass) strays(ctx context.Context) (all []stray, _ error) {
	charges, err := p.strayCharges(ctx)
	if err != nil || len(charges) == 0 {
		return nil, err
	}
	var text string
	if err := p.DB.Get(ctx, &text, namedStraysSQL); err != nil {
		return nil, err
	}
	var named []alert.Money
	if err := json.Unmarshal([]byte(text), &named); err != nil {
		return nil, err
	}
	for _, c := range charges {
		all = append(all, stray{c, chargePart(c.Charge, c.LeftMinor()).namedBy(named)})
	}
	return all, nil
}

func (p *pass) strayCharges(ctx context.Context) ([]provider.Holding, error) {
	if p.outside.provider != nil || p.scope.newest != 0 {
		return nil, p.outside.provider
	}
	var strays []provider.Holding
	var unknown []string
	for name, charges := range p.outside.charges {
		id, isName := event.PaymentOf(name)
		if isName && p.outside.asked[id] {
			continue
		}
		strays = append(strays, alive(p.held(charges))...)
		if isName {
			unknown = append(unknown, id.String())
		}
	}
	if len(unknown) == 0 {
		return strays, nil
	}
	// Some may have been placed since the pass began.
	var known []uuid.UUID
	if err := p.DB.Select(ctx, &known, knownSQL, pq.Array(unknown)); err != nil {
		return nil, err
	}
	placed := map[string]bool{}
	for _, id := range known {
		placed[event.PaymentName(id)] = true
	}
	kept := strays[:0]
	for _, c := range strays {
		if !placed[c.Reference] {
			kept = append(kept, c)
		}
	}
	return kept, nil
}
