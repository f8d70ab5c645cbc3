package provider

import "context"

// Holding is a charge that succeeded, with what has gone back of it. A caller who asks
// whether the provider has our money looks at what is left and not at the charge:
// one that was wholly given back is not alive.
type Holding struct {
	Charge
	BackMinor int64
}

// Hold takes from a charge what its refunds gave back.
func Hold(c Charge, refunds []Refund) Holding {
	h := Holding{Charge: c}
	for _, r := range refunds {
		if r.Status == Succeeded {
			h.BackMinor += r.Amount.AmountMinor
		}
	}
	return h
}

// LeftMinor is what the provider still holds of the charge.
func (h Holding) LeftMinor() int64 {
	if h.Status != Succeeded {
		return 0
	}
	return h.Amount.AmountMinor - h.BackMinor
}

// Alive says whether the provider holds anything of the charge.
func (h Holding) Alive() bool { return h.LeftMinor() > 0 }

// Lister lists what the provider has of a payment.
type Lister interface {
	ChargesByReference(ctx context.Context, reference string) ([]Charge, error)
	RefundsOfCharge(ctx context.Context, chargeID string) ([]Refund, error)
}

// Alive lists the charges of a payment of which something is left. After an error
// there is none: a part of the list is not the list.
func Alive(ctx context.Context, l Lister, reference string) ([]Holding, error) {
	charges, err := l.ChargesByReference(ctx, reference)
	if err != nil {
		return nil, err
	}
	var alive []Holding
	for _, c := range charges {
		if c.Status != Succeeded {
			continue
		}
		refunds, err := l.RefundsOfCharge(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if h := Hold(c, refunds); h.Alive() {
			alive = append(alive, h)
		}
	}
	return alive, nil
}
