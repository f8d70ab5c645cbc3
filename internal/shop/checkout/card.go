package checkout

import (
	"errors"
	"slices"

	"payonce/once/idempotency"
)

// card is what is known of a delivery's card beside an attempt that another key
// opened: whose outcome the delivery is given.
type card int

const (
	unknownCard card = iota
	sameCard
	otherCard
)

// matched is how an answer says it: only "other-card" says that the delivery's
// own card was not sent.
func (c card) matched() string {
	if c == otherCard {
		return "other-card"
	}
	return "business-key"
}

// cardSent compares with an attempt that is not over, which still has its card.
func (d *delivery) cardSent(a attempt) card {
	switch {
	case !a.CardToken.Valid:
		return unknownCard
	case a.CardToken.String == d.Token:
		return sameCard
	}
	return otherCard
}

// cardOf compares with an attempt that is over. Its card was forgotten with its
// end, but the key that opened it still recognises a request with the same one.
func (d *delivery) cardOf(a attempt, opener *idempotency.Row, secret []byte) card {
	if opener == nil {
		return unknownCard
	}
	r := d.request
	r.Key = a.OpenedBy
	var differs *idempotency.MismatchError
	if errors.As(opener.Match(r, r.Fingerprint(secret)), &differs) && slices.Contains(differs.Pointers, "/card_token") {
		return otherCard
	}
	return sameCard
}
