package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"payonce/internal/platform/postgres"
)

// This file holds the door of keys that are used again after their lifetime. For
// the checks a key whose answer was forgotten is another key: later uses of it are
// logged under another name. Orders and refunds know their key for ever.

// What the aged keys are about.
const (
	agedCapture  = "a capture's key"
	agedDecline  = "a declined capture's key"
	agedOrder    = "an order's key"
	agedRefund   = "a refund's key"
	agedRunning  = "a key that runs"
	nextLife     = "~2" // what a key of the second life is called
	stillItsLife = "running"
)

var agings = []string{agedCapture, agedDecline, agedOrder, agedRefund, agedRunning}

const ageSQL = `
UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 hour'
 WHERE merchant_id = $1::uuid AND key = $2
RETURNING status`

// makeOld ends the lifetime of a key, and says what it did at that moment: a key
// that runs keeps its life until it has its answer.
func (d *doors) makeOld(ctx context.Context, b *buyer, key string) (status string, err error) {
	for {
		err = postgres.InTx(ctx, d.db, func(tx postgres.Tx) error {
			return tx.Get(ctx, &status, ageSQL, bare(b.merchant), key)
		})
		if err == nil || ctx.Err() != nil {
			return status, err
		}
		if !errors.Is(err, sql.ErrNoRows) { // the database is away, or the key is not there yet
			wait(ctx, 100*time.Millisecond)
		}
		wait(ctx, 5*time.Millisecond)
	}
}

// reuse is an entry of the key's second life.
func reuse(e Entry) Entry {
	e.Wire, e.Key = e.Key, e.Key+nextLife
	e.Why = "aged"
	return e
}

// age uses a key, ends its life and uses it again.
func (d *doors) age(ctx context.Context, b *buyer, what string) (string, error) {
	switch what {
	case agedOrder:
		return d.ageOrder(ctx, b)
	case agedRefund:
		return d.ageRefund(ctx, b)
	case agedRunning:
		return d.ageRunning(ctx, b)
	}
	return d.ageCapture(ctx, b, what)
}

// again repeats a request in its key's second life until it has an answer.
func (b *buyer) again(ctx context.Context, first Entry, path string) (e Entry) {
	for try := 0; ctx.Err() == nil && b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		e = reuse(first)
		e.API = b.api(try)
		if e = b.attempt(ctx, e, path); e.Stored() {
			return e
		}
	}
	return e
}

func capturePath(k basket) string { return "/v1/payments/" + k.payment + "/capture" }

// asked is what was asked for, without the answer.
func (e Entry) asked() Entry {
	return Entry{Operation: e.Operation, Payment: e.Payment, Order: e.Order, Key: e.Key, Request: e.Request, Asked: e.Asked}
}

func (d *doors) ageCapture(ctx context.Context, b *buyer, what string) (string, error) {
	k, ok := b.order()
	if !ok {
		return "", errGaveUp
	}
	card, want := "tok_ok", http.StatusOK
	if what == agedDecline {
		card, want = "tok_declined", http.StatusPaymentRequired
	}
	key := fmt.Sprintf("aged-%d", b.no)
	first := b.insist(ctx, k, key, card)
	if first.Status != want {
		return "", fmt.Errorf("%s with %s: %d %s", k.payment, card, first.Status, first.Problem)
	}
	if _, err := d.makeOld(ctx, b, key); err != nil {
		return "", err
	}
	second := b.again(ctx, first.asked(), capturePath(k))
	switch {
	case second.Status != want:
		return "", fmt.Errorf("%s with the forgotten key %s: %d %s", k.payment, key, second.Status, second.Problem)
	case second.Charge != first.Charge:
		d.amiss("%s: %s, and with the forgotten key %s", k.payment, first.Charge, second.Charge)
	case what == agedDecline:
		return "tried anew and declined anew", nil
	}
	return "the payment knew its charge", nil
}

func (d *doors) ageOrder(ctx context.Context, b *buyer) (string, error) {
	first, ok := b.order()
	if !ok {
		return "", errGaveUp
	}
	key := fmt.Sprintf("order-%d-%d", b.no, b.bought)
	if _, err := d.makeOld(ctx, b, key); err != nil {
		return "", err
	}
	e := b.again(ctx, Entry{Operation: "order", Key: key, Request: first.request}, "/v1/orders")
	if e.Status != http.StatusCreated {
		return "", fmt.Errorf("an order with the forgotten key %s: %d %s", key, e.Status, e.Problem)
	}
	if e.Order != first.order {
		d.amiss("%s and %s were placed with one key, %s", first.order, e.Order, key)
	}
	return "the order knew its key", nil
}

func (d *doors) ageRefund(ctx context.Context, b *buyer) (string, error) {
	k, _, err := b.paid(ctx, "tok_ok")
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("aged-refund-%d", b.no)
	first := b.giveBack(ctx, k, key, 0)
	if first.Status != http.StatusAccepted {
		return "", fmt.Errorf("the refund of %s: %d %s", k.payment, first.Status, first.Problem)
	}
	if _, err := d.makeOld(ctx, b, key); err != nil {
		return "", err
	}
	second := b.again(ctx, first.asked(), "/v1/refunds")
	if second.Refund != first.Refund {
		d.amiss("%s: %s, and with the forgotten key %s %d %s", k.payment, first.Refund, key, second.Status, second.Refund)
	}
	_, err = d.refundsEnd(ctx, k)
	return "the refund knew its key", err
}

// ageRunning ends the life of a key whose capture is under way. The key keeps its
// answer, unless the answer was there first.
func (d *doors) ageRunning(ctx context.Context, b *buyer) (string, error) {
	k, ok := b.order()
	if !ok {
		return "", errGaveUp
	}
	key := fmt.Sprintf("aged-%d", b.no)
	slow := make(chan Entry, 1)
	go func() { slow <- b.insist(ctx, k, key, "tok_slow") }()
	status, err := d.makeOld(ctx, b, key)
	if err != nil {
		<-slow
		return "", err
	}
	first := <-slow
	var second Entry
	how := "it kept its life and its answer"
	if status == stillItsLife {
		second = b.insist(ctx, k, key, "tok_slow")
	} else {
		how = "it had its answer already, and the payment knew its charge"
		second = b.again(ctx, first.asked(), capturePath(k))
	}
	if first.Status != http.StatusOK || second.Status != http.StatusOK {
		return "", fmt.Errorf("%s with key %s: %d %s, then %d %s", k.payment, key, first.Status, first.Problem, second.Status, second.Problem)
	}
	return how, nil
}
