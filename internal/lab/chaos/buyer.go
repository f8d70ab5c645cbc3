package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"payonce/internal/lab/client"
	"payonce/internal/lab/world"
)

// market is what all buyers share.
type market struct {
	apis  []string // names
	urls  map[string]string
	log   *clientLog
	pace  *rate.Limiter
	cards []string
	began time.Time

	refunding            bool // there is something to give back with
	captured, unanswered atomic.Int64
	silent               sync.Map // api → until when it is left alone
	// open ends when no new checkout may begin; hurry when those under way must
	// give up.
	open, hurry context.Context //nolint:containedctx // two ends of one campaign, not of one call
}

// buyer is a client that knows the API's documentation and nothing else.
type buyer struct {
	*market
	no               int
	rng              *rand.Rand
	client           *client.Client
	merchant, apiKey string
	bought           int
}

// deck is the card tokens with how often each is drawn. Those that this world
// does not know are left out. tok_500_always stays in doubt for ten minutes, by
// design, so that no campaign could wait for it.
var deck = []struct {
	token string
	times int
}{
	{"tok_ok", 74}, {"tok_declined", 6}, {"tok_slow", 3}, {"tok_timeout_before", 2}, {"tok_timeout_after", 3},
	{"tok_500_then_ok", 4}, {"tok_429_then_ok", 4}, {"tok_webhook_first", 3}, {"tok_webhook_late", 2}, {"tok_webhook_storm", 3},
	{"tok_refund_declined", 6}, {"tok_refund_timeout_after", 3},
}

func knownCards() (cards []string) {
	known := map[string]bool{}
	for _, c := range world.Cards {
		known[c.Token] = true
	}
	for _, d := range deck {
		for range d.times {
			if known[d.token] {
				cards = append(cards, d.token)
			}
		}
	}
	return cards
}

func newBuyer(m *market, no int, seed uint64) *buyer {
	return &buyer{
		market: m, no: no, rng: chance(seed, uint64(no)), //nolint:gosec // a small number
		client: client.New("", "", client.Options{Timeout: patience, Idle: 8, Longest: longestAnswer}),
	}
}

// run buys until the market closes.
func (b *buyer) run() {
	defer b.client.CloseIdle()
	if !b.register() {
		return
	}
	for b.open.Err() == nil {
		if b.pace.Wait(b.open) != nil {
			return
		}
		b.buy()
	}
}

// register makes a sandbox. It is no keyed operation: one that was made and
// whose answer was lost is an empty sandbox too many.
func (b *buyer) register() bool {
	for b.open.Err() == nil {
		answer, err := b.send(b.open, b.api(0), client.Request{Method: http.MethodPost, Path: "/v1/sandboxes", Raw: []byte("{}")})
		var made struct {
			MerchantID string `json:"merchant_id"`
			APIKey     string `json:"api_key"`
		}
		if err == nil && answer.Status == 201 && json.Unmarshal(answer.Body, &made) == nil {
			b.merchant, b.apiKey = made.MerchantID, made.APIKey
			return true
		}
		b.rest()
	}
	return false
}

// api spreads the attempts over the apis: a retry goes to another one, and one
// that kept somebody waiting is left alone for a moment, as a balancer would.
func (b *buyer) api(try int) string {
	for i := range b.apis {
		name := b.apis[(b.no+b.bought+try+i)%len(b.apis)]
		if until, slow := b.silent.Load(name); !slow || time.Now().After(until.(time.Time)) { //nolint:errcheck // we store nothing else
			return name
		}
	}
	return b.apis[(b.no+b.bought+try)%len(b.apis)]
}

// patience is a client's: longer than the provider's deadline, much shorter than
// a process that was stopped.
const patience = 6 * time.Second

// restFrom is how long an api that kept a client waiting is left alone.
const restFrom = 10 * time.Second

// rest is a client's pause between retries.
func (b *buyer) rest() {
	select {
	case <-b.hurry.Done():
	case <-time.After(time.Duration(50+b.rng.IntN(200)) * time.Millisecond):
	}
}

// basket is one checkout.
type basket struct {
	order, payment, currency string
	amount                   int64
	request                  string // for the order
}

// buy is one checkout from the order to its outcome, with the manners of real
// clients: they click twice, lose their key, hang up, ask again long after.
func (b *buyer) buy() {
	b.bought++
	basket, ok := b.order()
	if !ok {
		b.unanswered.Add(1)
		return
	}
	card := b.cards[b.rng.IntN(len(b.cards))]
	for attempt := 1; attempt <= 3; attempt++ {
		key := fmt.Sprintf("pay-%d-%d-%d", b.no, b.bought, attempt)
		outcome, ok := b.pay(basket, key, card)
		switch {
		case !ok:
			b.unanswered.Add(1)
			return
		case outcome == 200:
			b.captured.Add(1)
			b.regret(basket, card)
			return
		}
		card = "tok_ok" // the card was declined: another one, with a key of its own
	}
}

func (b *buyer) order() (basket, bool) {
	key := fmt.Sprintf("order-%d-%d", b.no, b.bought)
	request := fmt.Sprintf(`{"items":[{"sku":"concert-a","quantity":%d}],"email":"buyer-%d-%d@example.org"}`, 1+b.rng.IntN(3), b.no, b.bought)
	for try := 0; b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		e := b.attempt(b.hurry, Entry{Operation: "order", Key: key, Request: request, Why: why(try), API: b.api(try)}, "/v1/orders")
		if e.Status != 201 {
			continue
		}
		var placed struct {
			ID          string `json:"id"`
			AmountMinor int64  `json:"amount_minor"`
			Currency    string `json:"currency"`
			Payment     struct {
				ID string `json:"id"`
			} `json:"payment"`
		}
		if err := json.Unmarshal([]byte(e.Body), &placed); err != nil {
			return basket{}, false
		}
		return basket{order: placed.ID, payment: placed.Payment.ID, amount: placed.AmountMinor, currency: placed.Currency, request: request}, true
	}
	return basket{}, false
}

func why(try int) string {
	if try == 0 {
		return "first"
	}
	return "retry"
}

// pay asks with one key until there is an outcome, 200 or 402.
func (b *buyer) pay(k basket, key, card string) (outcome int, ok bool) {
	manner := b.rng.IntN(100)
	switch {
	case manner < 15: // a double-click, or four
		b.together(k, func(int) string { return key }, card, "twin", 2+b.rng.IntN(3))
	case manner < 23: // a client that makes a key for every try
		b.together(k, func(i int) string { return fmt.Sprintf("%s-fresh-%d", key, i) }, card, "fresh", 2)
	case manner < 33: // a client that hangs up
		ctx, cancel := context.WithTimeout(b.hurry, time.Duration(1+b.rng.IntN(60))*time.Millisecond)
		b.capture(ctx, k, key, card, "hang-up", 0)
		cancel()
	}
	for try := 0; b.hurry.Err() == nil; try++ {
		if try > 0 {
			b.rest()
		}
		e := b.capture(b.hurry, k, key, card, why(try), try)
		if e.Status == 200 || e.Status == 402 {
			b.lateManners(k, key, card, try)
			return e.Status, true
		}
	}
	return 0, false
}

// lateManners is what some clients do after they have their answer.
func (b *buyer) lateManners(k basket, key, card string, try int) {
	switch manner := b.rng.IntN(100); {
	case manner < 15:
		b.capture(b.hurry, k, key, card, "replay", try+1)
	case manner < 20:
		other := k
		other.amount++
		b.capture(b.hurry, other, key, card, "other-body", try+1)
	}
}

func (b *buyer) together(k basket, key func(int) string, card, why string, n int) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { b.capture(b.hurry, k, key(i), card, why, i) })
	}
	all.Wait()
}

func (b *buyer) capture(ctx context.Context, k basket, key, card, why string, try int) Entry {
	request := fmt.Sprintf(`{"amount_minor":%d,"currency":%q,"card_token":%q}`, k.amount, k.currency, card)
	return b.attempt(ctx, Entry{
		Operation: "capture", Payment: k.payment, Order: k.order, Key: key, Request: request, Why: why, API: b.api(try),
	}, "/v1/payments/"+k.payment+"/capture")
}

// attempt sends one request and writes down what came of it.
func (b *buyer) attempt(ctx context.Context, e Entry, path string) Entry {
	e.Buyer, e.Merchant = b.no, b.merchant
	e.Start = time.Since(b.began)
	answer, err := b.send(ctx, e.API, client.Request{Method: http.MethodPost, Path: path, Key: e.sent(), Raw: []byte(e.Request)})
	e.End = time.Since(b.began)
	if err != nil && e.End-e.Start >= patience {
		b.silent.Store(e.API, time.Now().Add(restFrom))
	}
	if err == nil {
		e.Status, e.Body = answer.Status, string(answer.Body)
		e.Replayed = answer.Header.Get("Idempotent-Replayed") == "true"
		e.Matched = answer.Header.Get("Payonce-Matched") != ""
		e.read()
	}
	b.log.add(e)
	return e
}

// read takes from the body what the checks compare.
func (e *Entry) read() {
	var said struct {
		Type             string `json:"type"`
		ProviderChargeID string `json:"provider_charge_id"`
		Payment          struct {
			ID string `json:"id"`
		} `json:"payment"`
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(e.Body), &said) != nil {
		e.Problem = "no JSON"
		return
	}
	e.Problem = strings.TrimPrefix(said.Type, "/problems/")
	e.Charge = said.ProviderChargeID
	if e.Operation == "refund" {
		e.readRefund()
	}
	if e.Operation == "order" && e.Status == 201 {
		e.Order, e.Payment = said.ID, said.Payment.ID
	}
}

// longestAnswer bounds what is read of an answer, in bytes: the log keeps all of
// them.
const longestAnswer = 1 << 20

// send asks one api, once: the log must hold every attempt.
func (b *buyer) send(ctx context.Context, api string, r client.Request) (client.Answer, error) {
	return b.client.At(b.urls[api]).As(b.apiKey).Send(ctx, r)
}
