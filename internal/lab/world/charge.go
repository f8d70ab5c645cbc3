package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bojanz/currency"
)

// maxAmount is the largest charge in minor units.
const maxAmount = 99_999_999

// order is a checked request for a charge.
type order struct {
	reference, currency, token, key string
	amount                          int64
	hash                            []byte
}

// subject is whose first try a misbehaving card remembers: the key's, or the
// reference's for callers without keys. The prefix keeps a reference from
// passing for a key.
func (o order) subject() string {
	if o.key != "" {
		return "key:" + o.key
	}
	return "reference:" + o.reference
}

// postCharge is POST /v1/charges.
func (w *World) postCharge(rw http.ResponseWriter, r *http.Request) {
	o, err := readOrder(rw, r)
	if err != nil {
		writeError(rw, err)
		return
	}
	// Whoever hangs up does not undo what the provider has begun.
	ctx := context.WithoutCancel(r.Context())
	odd := w.mood.get(w.options.Now()).Charges
	if err := w.forget(ctx, odd, o.key); err != nil {
		w.logUnexpected("charge", err)
		writeError(rw, err)
		return
	}
	result, then, err := w.charge(ctx, o)
	if then == holdBefore || then == loseAnswer {
		w.hold(r)
	}
	if o.key != "" {
		rw.Header().Set("Idempotent-Replayed", fmt.Sprint(err == nil && result.replayed))
	}
	if err != nil {
		w.logUnexpected("charge", err)
		writeError(rw, err)
		return
	}
	answerOddly(rw, odd, result)
}

// readOrder checks a request before anything happens for it.
func readOrder(rw http.ResponseWriter, r *http.Request) (order, error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return order{}, err
	}
	body, err := readObject(rw, r, "reference", "amount_minor", "currency", "token")
	if err != nil {
		return order{}, err
	}
	o := order{key: key}
	if o.reference, err = body.str("reference"); err != nil {
		return order{}, err
	}
	if !isVisible(o.reference) {
		return order{}, invalid("reference", "reference must be 1 to 255 visible ASCII characters.")
	}
	if o.amount, err = body.integer("amount_minor"); err != nil {
		return order{}, err
	}
	if o.amount < 1 || o.amount > maxAmount {
		return order{}, invalid("amount_minor", "amount_minor must be between 1 and %d.", maxAmount)
	}
	if o.currency, err = body.str("currency"); err != nil {
		return order{}, err
	}
	if o.currency == "" || !currency.IsValid(o.currency) {
		return order{}, invalid("currency", "currency must be an ISO 4217 code in capitals.")
	}
	if o.token, err = body.str("token"); err != nil {
		return order{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "charge\x00%s\x00%d\x00%s\x00%s", o.reference, o.amount, o.currency, o.token))
	o.hash = sum[:]
	return o, nil
}

// idempotencyKey returns "" for a request without one: the world charges it,
// and charges it again the next time.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 || !isVisible(values[0]) {
		return "", &apiError{status: http.StatusBadRequest, Code: "idempotency_key_invalid",
			Message: "Send one Idempotency-Key of 1 to 255 visible ASCII characters."}
	}
	return values[0], nil
}

// isVisible is true for 1 to 255 bytes of visible ASCII.
func isVisible(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 255
}

// charge is the provider's protocol:
//
//  1. A twin of a request that is still running is refused with 409.
//  2. A key with an outcome answers from its row. Plain cards skip this read:
//     their one statement finds the row by itself.
//  3. A misbehaving card misbehaves, before anything is written.
//  4. Charge and answer are written in one statement.
//  5. A card that loses the answer loses it now.
func (w *World) charge(ctx context.Context, o order) (answer, trouble, error) {
	leave, err := w.running.enter(o) // 1
	if err != nil {
		return answer{}, smooth, err
	}
	defer leave()
	c, known := cardByToken[o.token]
	if o.key != "" && (!known || !c.plain()) { // 2
		row, err := w.books.findKey(ctx, o.key)
		if err != nil {
			return answer{}, smooth, err
		}
		if row != nil && row.hash != nil {
			result, err := row.replay(o)
			return result, smooth, err
		}
	}
	if !known {
		return answer{}, smooth, errInvalidToken
	}
	then, err := w.misbehave(ctx, c, o) // 3
	if err != nil || then == holdBefore {
		return answer{}, then, err
	}
	made := w.announcement(c, o)
	var heard <-chan struct{}
	if made.message != nil && c.tells == first {
		heard = w.heard.expect(made.message.id)
	}
	result, err := w.record(ctx, made) // 4
	if err != nil {
		return answer{}, smooth, err
	}
	if heard != nil && !result.replayed {
		w.overtaken(ctx, heard)
	}
	return result, then, nil // 5
}

// overtaken holds an answer back until the webhook has been there, or for as
// long as the shop's patience surely lasts.
func (w *World) overtaken(ctx context.Context, heard <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, overtake)
	defer cancel()
	select {
	case <-heard:
	case <-ctx.Done():
	case <-w.closing:
	}
}

// overtake is less than the four seconds that the shop waits.
const overtake = 3 * time.Second

// misbehave waits for slow cards, fails for failing ones, and returns the
// trouble that is still to come.
func (w *World) misbehave(ctx context.Context, c card, o order) (trouble, error) {
	if c.slow {
		w.wait(ctx, w.options.Slow)
	}
	if c.trouble == smooth {
		return smooth, nil
	}
	if !c.always {
		first, err := w.books.isFirstTry(ctx, o.subject(), o.token, w.options.Now())
		if err != nil || !first {
			return smooth, err
		}
	}
	switch c.trouble {
	case fail500:
		return smooth, errHiccup
	case fail429:
		return smooth, errTooMany
	default:
		return c.trouble, nil
	}
}

// news is a charge that is about to be made, with what will be told about it.
type news struct {
	order   order
	charge  Charge
	message *announcement
}

func (w *World) announcement(c card, o order) news {
	charge := w.newCharge(c, o)
	if w.mood.get(w.options.Now()).Charges == otherAmount {
		charge.AmountMinor++
	}
	return news{order: o, charge: charge, message: w.announce(charge, c)}
}

// announcedAfter wakes the sender after a commit.
func (w *World) announcedAfter(err error) error {
	select {
	case w.announced <- struct{}{}:
	default:
	}
	return err
}

// record writes the charge and returns the answer of whoever wrote first. A
// lost race can repeat it once or twice: first the tombstone appears under the
// charge, then another late arrival under the refusal.
func (w *World) record(ctx context.Context, n news) (answer, error) {
	charge, o := n.charge, n.order
	if err := w.books.rememberCard(ctx, charge.ID, cardByToken[o.token]); err != nil {
		return answer{}, err
	}
	if o.key == "" {
		return render(charge), w.announcedAfter(w.books.writeKeyless(ctx, charge, n.message))
	}
	for range 3 {
		mine := render(charge)
		written, err := w.books.write(ctx, charge, o.hash, mine, n.message)
		if err != nil || written {
			return mine, w.announcedAfter(err)
		}
		row, err := w.books.findKey(ctx, o.key)
		if err != nil {
			return answer{}, err
		}
		if row != nil && row.hash != nil {
			// Our own bytes: the driver had repeated a statement whose
			// commit's reply was lost, so this is no replay.
			row.answer.replayed = !bytes.Equal(row.answer.body, mine.body)
			return row.replay(o)
		}
		if row != nil && row.cancelled {
			charge.Status, charge.DeclineCode = "cancelled", nil
		}
	}
	return answer{}, fmt.Errorf("world: key of charge %s never settled", charge.ID)
}

// replay returns the stored answer if it is this request's.
func (k *keyRow) replay(o order) (answer, error) {
	if !k.matches(o.hash) {
		return answer{}, errKeyReused
	}
	return k.answer, nil
}

// running knows which keys are being worked on in this process. It is memory
// on purpose: a key whose simulator was killed is not running any more, and
// what a second simulator might write is decided by the books.
type running struct {
	mu   sync.Mutex
	keys map[string]string // key to request hash
}

// enter admits one request per key; the caller calls leave when it is done.
func (n *running) enter(o order) (leave func(), err error) {
	if o.key == "" {
		return func() {}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if hash, busy := n.keys[o.key]; busy {
		if hash != string(o.hash) {
			return nil, errKeyReused
		}
		return nil, errInProgress
	}
	n.keys[o.key] = string(o.hash)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.keys, o.key)
	}, nil
}
