package simulated

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"payonce/internal/shop/provider"
)

// Name is how receipts and events call this provider.
const Name = "simulated"

// ReadNotice reads the body of a webhook. Call it after the signature was
// verified. A kind that the shop does not know is a Notice without a Charge, so
// that a provider may add kinds; what cannot be read is provider.ErrNotice.
func ReadNotice(body []byte) (provider.Notice, error) {
	var envelope struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if !utf8.Valid(body) {
		return provider.Notice{}, fmt.Errorf("%w: no UTF-8", provider.ErrNotice)
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Type == "" || len(envelope.Type) > 100 {
		return provider.Notice{}, fmt.Errorf("%w: no JSON object with a type", provider.ErrNotice)
	}
	n := provider.Notice{Provider: Name, Kind: envelope.Type}
	var err error
	switch envelope.Type {
	case "charge.succeeded", "charge.declined":
		n.Charge, err = noticedCharge(envelope.Type, envelope.Data)
	case "refund.succeeded", "refund.declined":
		n.Refund, err = noticedRefund(envelope.Type, envelope.Data)
	}
	return n, err
}

func noticedCharge(kind string, data []byte) (*provider.Charge, error) {
	var v chargeJSON
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("%w: data is no charge", provider.ErrNotice)
	}
	c := v.charge()
	return &c, fits(kind, "charge."+string(c.Status), c.Amount.Valid(), c.CreatedAt.IsZero(), c.IdempotencyKey, c.ID, c.Reference)
}

func noticedRefund(kind string, data []byte) (*provider.Refund, error) {
	var v refundJSON
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("%w: data is no refund", provider.ErrNotice)
	}
	r := v.refund()
	return &r, fits(kind, "refund."+string(r.Status), r.Amount.Valid(), r.CreatedAt.IsZero(), r.IdempotencyKey, r.ID, r.Reference, r.ChargeID)
}

// fits says whether what a message tells can be what its type says.
func fits(kind, stated string, amount error, timeless bool, key string, names ...string) error {
	for _, name := range names {
		if name == "" || len(name) > 255 {
			return fmt.Errorf("%w: ids and references have 1 to 255 bytes", provider.ErrNotice)
		}
	}
	switch {
	case len(key) > 255:
		return fmt.Errorf("%w: a key has at most 255 bytes", provider.ErrNotice)
	case timeless:
		return fmt.Errorf("%w: without its time", provider.ErrNotice)
	case stated != kind:
		return fmt.Errorf("%w: the status is not its type's", provider.ErrNotice)
	case amount != nil:
		return fmt.Errorf("%w: %w", provider.ErrNotice, amount)
	}
	return nil
}
