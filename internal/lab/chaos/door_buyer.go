package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"payonce/internal/lab/client"
	"payonce/internal/platform/postgres"
	"payonce/once/saga"
)

// This file holds the doors of buyers and of the merchant at the entrance: many
// declined cards, pairs of partial refunds, tickets that are used.

const (
	// badCards are declined before the good one.
	badCards = 5
	// moreThanAPage is how many declined charges of the payment the provider lists
	// besides: its longest page has a thousand. A person tried them there, at a terminal.
	moreThanAPage = 1001

	terminalSQL = `
INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
SELECT 'ch_0' || n || $1, $1, 'terminal-' || $1 || n, $2, $3, 'declined', 'insufficient_funds', now() FROM generate_series(1, $4::integer) AS n
ON CONFLICT (id) DO NOTHING`
)

// stubborn tries one payment with bad cards, here and at a terminal of the provider, more
// often than a page of the provider's list has rows, and then with a good one.
func (d *doors) stubborn(ctx context.Context, b *buyer, _ string) (string, error) {
	k, ok := b.order()
	if !ok {
		return "", errGaveUp
	}
	for n := 1; n <= badCards; n++ {
		if e := b.insist(ctx, k, fmt.Sprintf("stubborn-%d-%d", b.no, n), "tok_declined"); e.Status != http.StatusPaymentRequired {
			return "", fmt.Errorf("declined attempt %d of %s: %d %s", n, k.payment, e.Status, e.Problem)
		}
	}
	if err := postgres.InTx(ctx, d.world, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, terminalSQL, k.payment, k.amount, k.currency, moreThanAPage)
		return err
	}); err != nil {
		return "", err
	}
	if e := b.insist(ctx, k, fmt.Sprintf("stubborn-%d-good", b.no), "tok_ok"); e.Status != http.StatusOK {
		return "", fmt.Errorf("the good card of %s after %d declined charges: %d %s", k.payment, badCards+moreThanAPage, e.Status, e.Problem)
	}
	return fmt.Sprintf("captured after %d declined charges", badCards+moreThanAPage), nil
}

// insist captures with one key until the key has its answer.
func (b *buyer) insist(ctx context.Context, k basket, key, card string) (e Entry) {
	for try := 0; ctx.Err() == nil && b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		if e = b.capture(ctx, k, key, card, why(try), try); e.Stored() {
			return e
		}
	}
	return e
}

// paid is an order that was paid with that card, and its charge.
func (b *buyer) paid(ctx context.Context, card string) (k basket, charge string, err error) {
	k, ok := b.order()
	if !ok {
		return k, "", errGaveUp
	}
	e := b.insist(ctx, k, fmt.Sprintf("door-%d-%d", b.no, b.bought), card)
	if e.Status != http.StatusOK {
		return k, "", fmt.Errorf("%s was to be captured: %d %s", k.payment, e.Status, e.Problem)
	}
	return k, e.Charge, nil
}

// giveBack asks for a refund with one key until the key has its answer.
func (b *buyer) giveBack(ctx context.Context, k basket, key string, amount int64) (e Entry) {
	for try := 0; ctx.Err() == nil && b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		if e = b.refund(k, key, amount, why(try), try); e.Stored() {
			return e
		}
	}
	return e
}

const (
	overSQL = `
SELECT count(*) > 0 AND count(*) FILTER (WHERE status = 'pending') = 0 FROM refunds
 WHERE payment_id = $1::uuid AND provider_refund_id IS NULL`

	wentBackSQL = `SELECT count(*) FROM refunds WHERE payment_id = $1::uuid AND status = 'succeeded' AND provider_refund_id IS NULL`
)

// bare is the id in a name such as pay_…, as the database writes it.
func bare(name string) string {
	_, id, _ := strings.Cut(name, "_")
	return id
}

// refundsEnd waits until no refund of the payment is under way, and says how many
// of ours went through.
func (d *doors) refundsEnd(ctx context.Context, k basket) (through int, err error) {
	if err := d.until(ctx, "the end of the refunds of "+k.payment, overSQL, bare(k.payment)); err != nil {
		return 0, err
	}
	err = d.read(ctx, &through, wentBackSQL, bare(k.payment))
	return through, err
}

const silentSQL = `
SELECT count(*) FROM refunds WHERE payment_id = $1::uuid AND status = 'failed' AND failure_code = $2 AND provider_refund_id IS NULL`

// givenUp is how many refunds of the payment were given up before the pivot, because
// a step stayed without an answer: the one failure that no card has to explain.
func (d *doors) givenUp(ctx context.Context, k basket) (n int, err error) {
	err = d.read(ctx, &n, silentSQL, bare(k.payment), saga.NoAnswer)
	return n, err
}

// pair asks at once for two parts that together are everything.
func (d *doors) pair(ctx context.Context, b *buyer, card string) (string, error) {
	k, _, err := b.paid(ctx, card)
	if err != nil {
		return "", err
	}
	var both sync.WaitGroup
	var answers [2]Entry
	for i, amount := range []int64{k.amount / 2, k.amount - k.amount/2} {
		both.Go(func() { answers[i] = b.giveBack(ctx, k, fmt.Sprintf("pair-%d-%d", b.no, i), amount) })
	}
	both.Wait()
	for _, e := range answers {
		if e.Status != http.StatusAccepted {
			return "", fmt.Errorf("a part of %s: %d %s", k.payment, e.Status, e.Problem)
		}
	}
	through, err := d.refundsEnd(ctx, k)
	if err != nil {
		return "", err
	}
	silent, err := d.givenUp(ctx, k)
	refused := card == "tok_refund_declined"
	if err == nil && (refused && through != 0 || !refused && through+silent != 2) {
		d.amiss("%s: %d of two parts went back with %s, %d had no answer", k.payment, through, card, silent)
	}
	return []string{"both were refused", "one went through", "both went through"}[through], err
}

// What a check-in comes to meet.
const (
	before = "before the refund"
	during = "while the refund runs"
)

// checkIn uses a ticket before its money is asked back, or at the same time. A used
// ticket refuses the whole refund; a void one does not open the door.
func (d *doors) checkIn(ctx context.Context, b *buyer, when string) (string, error) {
	k, _, err := b.paid(ctx, "tok_ok")
	if err != nil {
		return "", err
	}
	ticket, err := d.ticketOf(ctx, b, k)
	if err != nil {
		return "", err
	}
	var refund, door Entry
	var both sync.WaitGroup
	both.Go(func() { door = b.enter(ctx, k, ticket) })
	if when == before {
		both.Wait()
	}
	both.Go(func() { refund = b.giveBack(ctx, k, fmt.Sprintf("entered-%d", b.no), 0) })
	both.Wait()
	if refund.Status != http.StatusAccepted {
		return "", fmt.Errorf("the refund of %s: %d %s", k.payment, refund.Status, refund.Problem)
	}
	through, err := d.refundsEnd(ctx, k)
	if err != nil {
		return "", err
	}
	used := door.Status == http.StatusOK || door.Problem == "ticket-used"
	switch {
	case used == (through > 0):
		d.amiss("%s: a ticket was let in: %v, and %d refunds went through", k.order, used, through)
	case when == before && !used:
		return "", fmt.Errorf("%s was not let in: %d %s", ticket, door.Status, door.Problem)
	case used:
		return "let in, the refund was refused", nil
	}
	return "the money went back, the ticket was refused", nil
}

// ticketOf waits for the tickets and returns one.
func (d *doors) ticketOf(ctx context.Context, b *buyer, k basket) (string, error) {
	for try := 0; ctx.Err() == nil; try++ {
		answer, err := b.send(ctx, b.api(try), client.Request{Method: http.MethodGet, Path: "/v1/orders/" + k.order})
		var order struct {
			Tickets []struct {
				ID string `json:"id"`
			} `json:"tickets"`
		}
		if err == nil && answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &order) == nil && len(order.Tickets) > 0 {
			return order.Tickets[0].ID, nil
		}
		b.rest()
	}
	return "", errors.New(k.order + " never got its tickets")
}

// enter checks a ticket in until the door has an answer. One whose answer was lost
// hears ticket-used: this buyer is the only one who has it.
func (b *buyer) enter(ctx context.Context, k basket, ticket string) (e Entry) {
	answers := []int{http.StatusOK, http.StatusConflict}
	for try := 0; ctx.Err() == nil && b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		e = b.attempt(ctx, Entry{Operation: "check-in", Payment: k.payment, Order: k.order, Ticket: ticket, Why: why(try), API: b.api(try)},
			"/v1/tickets/"+ticket+"/check-in")
		if slices.Contains(answers, e.Status) {
			return e
		}
	}
	return e
}
