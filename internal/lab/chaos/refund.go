package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"payonce/internal/lab/client"
)

// refunds says whether this house gives money back: one that does not has no
// such route.
func (b *buyer) refunds() (bool, error) {
	answer, err := b.send(b.hurry, b.apis[0], client.Request{Method: http.MethodPost, Path: "/v1/refunds", Key: "probe", Raw: []byte("{}")})
	return answer.Status != http.StatusNotFound && answer.Status != http.StatusMethodNotAllowed, err
}

// regret gives the money of some captured payments back: wholly, in part, twice
// with one click, or twice in competition. Cards whose refund goes wrong are
// there to be refunded.
func (b *buyer) regret(k basket, card string) {
	often := 15
	if strings.HasPrefix(card, "tok_refund_") {
		often = 70
	}
	if !b.refunding || b.rng.IntN(100) >= often {
		return
	}
	amount := int64(0) // what is left
	if b.rng.IntN(100) < 40 {
		amount = k.amount / 2
	}
	key := fmt.Sprintf("refund-%d-%d", b.no, b.bought)
	switch manner := b.rng.IntN(100); {
	case manner < 25:
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() { b.refund(k, key, amount, "twin", i) })
		}
		all.Wait()
	case manner < 45: // a rival under a key of its own: the sum stays bounded
		var rival sync.WaitGroup
		rival.Go(func() { b.refund(k, key+"-rival", amount, "rival", 1) })
		defer rival.Wait()
	}
	for try := 0; b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		if b.refund(k, key, amount, why(try), try).Stored() {
			return
		}
	}
	b.unanswered.Add(1)
}

func (b *buyer) refund(k basket, key string, amount int64, why string, try int) Entry {
	request := fmt.Sprintf(`{"payment_id":%q,"reason":"requested_by_customer"}`, k.payment)
	if amount > 0 {
		request = fmt.Sprintf(`{"payment_id":%q,"amount_minor":%d,"reason":"requested_by_customer"}`, k.payment, amount)
	}
	return b.attempt(b.hurry, Entry{
		Operation: "refund", Payment: k.payment, Order: k.order, Key: key, Request: request, Asked: amount, Why: why, API: b.api(try),
	}, "/v1/refunds")
}

// readRefund takes a refund's id and amount from its 202.
func (e *Entry) readRefund() {
	var made struct {
		ID          string `json:"id"`
		AmountMinor int64  `json:"amount_minor"`
	}
	if e.Status == http.StatusAccepted && json.Unmarshal([]byte(e.Body), &made) == nil {
		e.Refund, e.Amount = made.ID, made.AmountMinor
	}
}
