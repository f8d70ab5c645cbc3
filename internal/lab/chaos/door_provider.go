package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"payonce/internal/lab/client"
)

// This file holds the door at the provider: charges and refunds that a person makes
// there, directly at the simulator, as its dashboard would.

// What is made by hand.
const (
	strayCaptured = "a charge for a captured payment"
	strayOpen     = "a charge for an open payment"
	strayUnnamed  = "a charge for no payment"
	handWhole     = "a whole refund"
	handPart      = "a part, and the rest by ours"
	handRace      = "a whole refund, racing with ours"
	handPartRace  = "a part, racing with a part of ours"
	handUsed      = "a whole refund of a used ticket"
)

var byHand = []string{strayCaptured, strayOpen, strayUnnamed, handWhole, handPart, handRace, handPartRace, handUsed}

// handbook is what the campaign itself did at the provider.
type handbook struct {
	mu      sync.Mutex
	refunds map[string]HandRefund // of charges of ours, by the provider's id
	strays  map[string]stray      // by the charge
}

// HandRefund is a refund of a charge of ours that was made at the provider.
type HandRefund struct {
	Payment string
	Amount  int64
	// Began is when it was asked for, by the clock of the clients' log.
	Began time.Duration
}

type stray struct {
	amount int64
	back   string // the refund that gave it back
}

func newHandbook() *handbook {
	return &handbook{refunds: map[string]HandRefund{}, strays: map[string]stray{}}
}

// made lists the refunds of charges of ours.
func (h *handbook) made() (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return sorted(h.refunds)
}

// gaveBack says whether a refund gave a stray charge back.
func (h *handbook) gaveBack(refund string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.strays {
		if s.back == refund {
			return true
		}
	}
	return false
}

func (h *handbook) stray(charge string) (stray, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, known := h.strays[charge]
	return s, known
}

// handMade is what the provider answers.
type handMade struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

var errNotMade = errors.New("the provider refuses what is made by hand")

// atProvider asks the provider, under a key, until it has an answer that says
// something: made, or refused.
func (d *doors) atProvider(ctx context.Context, path, key string, body any) (made handMade, err error) {
	by := client.New(d.simulatorURL, d.secret["PAYONCE_PROVIDER_KEY"], client.Options{Timeout: patience})
	defer by.CloseIdle()
	for ctx.Err() == nil {
		answer, err := by.Send(ctx, client.Request{Method: http.MethodPost, Path: path, Key: key, Body: body})
		switch {
		case err == nil && answer.Status == http.StatusCreated:
			err = json.Unmarshal(answer.Body, &made)
			return made, err
		case err == nil && answer.Status == http.StatusPaymentRequired:
			return handMade{Status: "declined"}, nil
		case err == nil && answer.Status < 500 && !slices.Contains([]int{http.StatusConflict, http.StatusTooManyRequests}, answer.Status):
			return made, fmt.Errorf("%w: it answers %s with %d %.200s", errNotMade, path, answer.Status, answer.Body)
		}
		wait(ctx, 200*time.Millisecond)
	}
	return made, ctx.Err()
}

// chargeByHand charges without an attempt of ours.
func (d *doors) chargeByHand(ctx context.Context, key, reference string, amount int64, currency string) (string, error) {
	made, err := d.atProvider(ctx, "/v1/charges", key, map[string]any{
		"reference": reference, "amount_minor": amount, "currency": currency, "token": "tok_ok",
	})
	if err != nil {
		return "", err
	}
	d.hand.mu.Lock()
	defer d.hand.mu.Unlock()
	d.hand.strays[made.ID] = stray{amount: amount}
	return made.ID, nil
}

// refundByHand gives money of a captured payment back without a refund of ours. It
// returns no id when the provider refused.
func (d *doors) refundByHand(ctx context.Context, key string, k basket, charge string, amount int64) (string, error) {
	began := time.Since(d.market.began)
	made, err := d.atProvider(ctx, "/v1/refunds", key, map[string]any{"charge_id": charge, "reference": key, "amount_minor": amount})
	if err != nil || made.Status != "succeeded" {
		return "", err
	}
	d.hand.mu.Lock()
	defer d.hand.mu.Unlock()
	d.hand.refunds[made.ID] = HandRefund{Payment: k.payment, Amount: amount, Began: began}
	return made.ID, nil
}

// giveStrayBack gives a charge of no attempt back, wholly, at the provider.
func (d *doors) giveStrayBack(ctx context.Context, charge string) error {
	s, known := d.hand.stray(charge)
	if !known {
		return fmt.Errorf("the campaign did not make %s", charge)
	}
	if s.back != "" {
		return nil
	}
	made, err := d.atProvider(ctx, "/v1/refunds", "back-"+charge, map[string]any{"charge_id": charge, "reference": "back-" + charge, "amount_minor": s.amount})
	if err == nil && made.Status != "succeeded" {
		err = fmt.Errorf("the provider does not give %s back", charge)
	}
	if err != nil {
		return err
	}
	d.hand.mu.Lock()
	defer d.hand.mu.Unlock()
	s.back = made.ID
	d.hand.strays[charge] = s
	return nil
}

// byHand makes one charge or one refund and waits for its end.
func (d *doors) byHand(ctx context.Context, b *buyer, what string) (string, error) {
	key := fmt.Sprintf("hand-%d", b.no)
	if what == strayUnnamed {
		charge, err := d.chargeByHand(ctx, key, key, 1234, "EUR")
		if err != nil {
			return "", err
		}
		return "an alert, given back", d.strayEnds(ctx, charge)
	}
	if what == strayOpen {
		return d.strayBefore(ctx, b, key)
	}
	k, charge, err := b.paid(ctx, "tok_ok")
	if err != nil {
		return "", err
	}
	switch what {
	case strayCaptured:
		stray, err := d.chargeByHand(ctx, key, k.payment, k.amount, k.currency)
		if err != nil {
			return "", err
		}
		return "an alert, given back", d.strayEnds(ctx, stray)
	case handUsed:
		return d.handOfUsed(ctx, b, k, charge, key)
	case handPart:
		return d.handPart(ctx, b, k, charge, key)
	case handRace, handPartRace:
		return d.handRace(ctx, b, k, charge, key, what == handRace)
	}
	refund, err := d.refundByHand(ctx, key, k, charge, k.amount)
	if err != nil {
		return "", err
	}
	return "booked", d.booked(ctx, refund)
}

const (
	// An alert was raised about the object, and none is open.
	alertedSQL = `
SELECT count(*) > 0 AND count(*) FILTER (WHERE state = 'open') = 0 FROM alerts WHERE subject = $1 OR facts->>'object' = $1`

	seenStraySQL = `SELECT EXISTS (SELECT FROM alerts WHERE subject = $1 OR facts->>'object' = $1)`

	bookedSQL = `SELECT EXISTS (SELECT FROM refunds WHERE provider_refund_id = $1)`
)

// strayEnds waits until a person was alerted of the charge and has ended it.
func (d *doors) strayEnds(ctx context.Context, charge string) error {
	return d.until(ctx, "the end of the alert about "+charge, alertedSQL, charge)
}

// strayBefore charges for a payment that no attempt was made for yet. The buyer
// pays once the operator has given the stray charge back.
func (d *doors) strayBefore(ctx context.Context, b *buyer, key string) (string, error) {
	k, ok := b.order()
	if !ok {
		return "", errGaveUp
	}
	charge, err := d.chargeByHand(ctx, key, k.payment, k.amount, k.currency)
	if err != nil {
		return "", err
	}
	if err := d.until(ctx, "an alert about "+charge, seenStraySQL, charge); err != nil {
		return "", err
	}
	e := b.insist(ctx, k, "after-"+key, "tok_ok")
	if e.Status != http.StatusOK {
		return "", fmt.Errorf("%s after a stray charge: %d %s", k.payment, e.Status, e.Problem)
	}
	if e.Charge == charge {
		d.amiss("%s was captured with %s, which no attempt made", k.payment, charge)
	}
	return "an alert, given back, then captured", d.strayEnds(ctx, charge)
}

// booked waits until a refund made by hand stands in our books.
func (d *doors) booked(ctx context.Context, refund string) error {
	return d.until(ctx, "the booking of "+refund, bookedSQL, refund)
}

func (d *doors) handPart(ctx context.Context, b *buyer, k basket, charge, key string) (string, error) {
	part := k.amount / 3
	refund, err := d.refundByHand(ctx, key, k, charge, part)
	if err != nil {
		return "", err
	}
	if err := d.booked(ctx, refund); err != nil {
		return "", err
	}
	ours := b.giveBack(ctx, k, "rest-"+key, 0)
	if ours.Status != http.StatusAccepted || ours.Amount != k.amount-part {
		d.amiss("%s: %d of %d went back by hand, then ours: %d %d", k.payment, part, k.amount, ours.Status, ours.Amount)
	}
	through, err := d.refundsEnd(ctx, k)
	if err != nil {
		return "", err
	}
	silent, err := d.givenUp(ctx, k)
	switch {
	case err == nil && through+silent != 1:
		d.amiss("%s: what is left after a refund by hand did not go back", k.payment)
	case silent > 0:
		return "booked, and ours had no answer", err
	}
	return "booked, and ours took the rest", err
}

// handRace refunds by hand and by us at once: wholly, of which one moves money, or
// in two parts, which both do.
func (d *doors) handRace(ctx context.Context, b *buyer, k basket, charge, key string, whole bool) (string, error) {
	theirs, mine := k.amount, int64(0)
	if !whole {
		theirs, mine = k.amount/2, k.amount-k.amount/2
	}
	var both sync.WaitGroup
	var ours Entry
	both.Go(func() { ours = b.giveBack(ctx, k, "rival-"+key, mine) })
	hand, err := d.refundByHand(ctx, key, k, charge, theirs)
	both.Wait()
	if err != nil {
		return "", err
	}
	through, silent := 0, 0
	if ours.Status == http.StatusAccepted {
		if through, err = d.refundsEnd(ctx, k); err != nil {
			return "", err
		}
		if silent, err = d.givenUp(ctx, k); err != nil {
			return "", err
		}
	}
	if hand != "" {
		if err := d.booked(ctx, hand); err != nil {
			return "", err
		}
	}
	switch {
	case whole && (through == 1) == (hand != ""):
		d.amiss("%s: of two whole refunds ours %d, by hand %q", k.payment, through, hand)
	case !whole && (through+silent != 1 || hand == ""):
		d.amiss("%s: of two parts ours %d, by hand %q", k.payment, through, hand)
	case silent > 0:
		return "booked, ours had no answer", nil
	case !whole:
		return "both were booked", nil
	case hand != "":
		return "booked, ours was refused", nil
	}
	return "ours went through, the provider refused the other", nil
}

const usedAlertSQL = `SELECT EXISTS (SELECT FROM alerts WHERE kind = 'ticket_used' AND subject = $1 AND state = 'resolved')`

func (d *doors) handOfUsed(ctx context.Context, b *buyer, k basket, charge, key string) (string, error) {
	ticket, err := d.ticketOf(ctx, b, k)
	if err != nil {
		return "", err
	}
	if e := b.enter(ctx, k, ticket); e.Status != http.StatusOK && e.Problem != "ticket-used" {
		return "", fmt.Errorf("%s was not let in: %d %s", ticket, e.Status, e.Problem)
	}
	refund, err := d.refundByHand(ctx, key, k, charge, k.amount)
	if err != nil {
		return "", err
	}
	if err := d.booked(ctx, refund); err != nil {
		return "", err
	}
	return "booked, and the used ticket was an alert", d.until(ctx, "the alert about "+k.order, usedAlertSQL, k.order)
}
