package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
	"payonce/internal/shop/money"
)

// basket is what is bought and how it is paid for.
type basket struct {
	Quantity *int   `help:"How many tickets; 2 when not given." placeholder:"2" xor:"quantity"`
	SKU      string `name:"sku" help:"Which concert; /v1/catalogue lists them." placeholder:"concert-a" xor:"sku"`
	Email    string `help:"Where the receipt goes; an address of this sandbox when not given." placeholder:"ADDRESS" xor:"email"`
	Card     string `help:"A test card: tok_ok, tok_declined, tok_slow, tok_timeout_after, tok_timeout_before, tok_500_then_ok, tok_429_then_ok, …" default:"tok_ok" placeholder:"TOKEN"`
}

type buyCommand struct {
	basket
	Order    string        `help:"Pay this order instead of placing one: with another card, after a decline or while the first is in doubt." placeholder:"ord_…" xor:"quantity,sku,email"`
	Clicks   int           `help:"How often to click, all at the same moment." default:"2"`
	Keys     string        `help:"One key for all clicks, or a fresh one for each." enum:"same,fresh" default:"same"`
	Patience time.Duration `help:"How long to ask again while there is no outcome." default:"1m"`
}

// Help implements kong.HelpProvider.
func (buyCommand) Help() string {
	return `Places an order and pays for it as a good client does: each click asks again with its own key after silence, 409, 429 or 503, waits as long as Retry-After says, and after 202 reads the payment until the shop knows. Another card for an order that is in doubt is sent once the earlier one turns out not to have been charged; when that one was, its outcome is shown as its own, and this card was not sent. Attempts and effects are then counted by the shop, the provider and the mailbox.

Examples:

    payonce buy                                    two clicks, one key
    payonce buy --clicks 7 --keys fresh            seven keys: the payment itself absorbs six
    payonce buy --card tok_timeout_after           charged, and the answer is lost
    payonce buy --card tok_declined                exit code 1
    payonce buy --order ord_… --card tok_ok        another card for the same order
    payonce buy | jq -r .verdict.sentence`
}

// click is what became of one click.
type click struct {
	Key      string `json:"idempotency_key"`
	Status   int    `json:"status"`
	Replayed bool   `json:"replayed"`
	Matched  bool   `json:"matched"`
	// OtherCard says that the outcome is an earlier card's: this one was not sent.
	OtherCard bool  `json:"other_card"`
	Requests  int   `json:"requests"`
	LatencyMS int64 `json:"latency_ms"`

	err error
}

// bought is the result of a purchase.
type bought struct {
	Order wire.Order `json:"order"`
	// Clicks stand in the order in which they were made.
	Clicks []click `json:"clicks"`
	evidence
}

// Run buys.
func (b *buyCommand) Run(r *run) error {
	if b.Clicks < 1 || b.Clicks > 100 {
		return &usageError{fmt.Sprintf("--clicks must be 1 … 100, is %d", b.Clicks)}
	}
	c, who, err := r.shop()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, b.Patience)
	defer cancel()
	var result bought
	by, before := senders{clicks: int64(b.Clicks)}, int64(0)
	if b.Order == "" {
		result.Order, err = b.order(ctx, r, c, who)
	} else {
		// Who clicked before is not known here.
		by = senders{}
		result.Order, before, err = existing(ctx, c, b.Order)
	}
	if err != nil {
		return err
	}
	result.Clicks = b.pay(ctx, r, c, result.Order.Payment)
	if err := worst(result.Clicks); err != nil {
		return err
	}
	if result.evidence, err = gather(r, c, result.Order.Payment.ID, by, before+int64(b.Clicks)); err != nil {
		return err
	}
	err = r.screen.Result(result, func() {
		r.drawOrder(result.Order)
		if slices.ContainsFunc(result.Clicks, func(k click) bool { return k.OtherCard }) {
			r.screen.Line(screen.In(screen.Open, "The outcome is an earlier card's; "+b.Card+" was not sent."))
		}
		r.drawEvidence(result.evidence, by)
	})
	return errors.Join(err, result.bad())
}

// existing reads an order that was placed before, and how many attempts to pay it
// there were.
func existing(ctx context.Context, c *client.Client, id string) (wire.Order, int64, error) {
	order, err := client.Get[wire.Order](ctx, c, "/v1/orders/"+url.PathEscape(id))
	if err != nil {
		return order, 0, err
	}
	proof, err := client.Get[wire.Proof](ctx, c, "/v1/payments/"+url.PathEscape(order.Payment.ID)+"/proof")
	return order, total(proof), err
}

// order places an order, once however often it has to ask.
func (b *basket) order(ctx context.Context, r *run, c *client.Client, who wire.Sandbox) (wire.Order, error) {
	quantity := 2
	if b.Quantity != nil {
		quantity = *b.Quantity
	}
	answer, _, err := c.UntilAnswered(ctx, client.Request{
		Method: http.MethodPost, Path: "/v1/orders", Key: "order-" + rand.Text(),
		Body: wire.NewOrder{Email: cmp.Or(b.Email, who.Email), Items: []wire.NewOrderItem{{Sku: cmp.Or(b.SKU, "concert-a"), Quantity: quantity}}},
	}, r.waiting)
	if err != nil {
		return wire.Order{}, err
	}
	return client.Read[wire.Order](answer)
}

// pay makes all clicks at the same moment and waits for each one's outcome.
func (b *buyCommand) pay(ctx context.Context, r *run, c *client.Client, p wire.Payment) []click {
	clicks := make([]click, b.Clicks)
	shared := rand.Text()
	var gate, all sync.WaitGroup
	gate.Add(1)
	for i := range clicks {
		clicks[i].Key = shared
		if b.Keys == "fresh" {
			clicks[i].Key = rand.Text()
		}
		all.Go(func() {
			gate.Wait()
			clicks[i].pay(ctx, r, c, p, b.Card)
		})
	}
	gate.Done()
	all.Wait()
	return clicks
}

// pay sends one click until its outcome is known. While an earlier card's is not, this
// card waits: it is sent when that one turns out not to have been charged.
func (k *click) pay(ctx context.Context, r *run, c *client.Client, p wire.Payment, card string) {
	began := time.Now()
	for {
		answer, requests, err := c.UntilAnswered(ctx, client.Request{
			Method: http.MethodPost, Path: "/v1/payments/" + p.ID + "/capture", Key: k.Key,
			Body: wire.CaptureRequest{AmountMinor: p.AmountMinor, Currency: p.Currency, CardToken: card},
		}, r.waiting)
		k.Requests += requests
		if k.read(answer, err); k.Status != http.StatusAccepted || k.err != nil {
			break
		}
		var settled wire.Payment
		if settled, k.err = c.UntilSettled(ctx, answer, r.waiting); k.err != nil || !k.OtherCard || !mayCharge(settled.Status) || ctx.Err() != nil {
			break
		}
	}
	k.LatencyMS = time.Since(began).Milliseconds()
}

// read keeps what an answer says, and whose outcome it is.
func (k *click) read(answer client.Answer, err error) {
	header := answer.Header
	k.err = err
	var refused *client.Refusal
	if errors.As(err, &refused) {
		k.Status, header = refused.Problem.Status, refused.Header
	} else if err == nil {
		k.Status = answer.Status
	}
	matched := header.Get("Payonce-Matched")
	k.Replayed = header.Get("Idempotent-Replayed") == "true"
	k.Matched, k.OtherCard = matched != "", matched == "other-card"
}

// mayCharge says that no card was charged, so another one may be sent.
func mayCharge(s wire.PaymentStatus) bool {
	return s == wire.PaymentStatusRequiresCapture || s == wire.PaymentStatusDeclined
}

// waiting says what a patient call does while there is no outcome.
func (r *run) waiting(w client.Waiting) {
	if r.screen.JSON() {
		return
	}
	pause := fmt.Sprintf("in %.1f s", w.Pause.Seconds())
	var refused *client.Refusal
	switch {
	case w.Why == nil:
		r.screen.Say(screen.In(screen.Open, "… The provider did not answer, so the charge is in doubt. The shop is finding out; looking again "+pause+"."))
	case errors.As(w.Why, &refused):
		r.screen.Say(screen.In(screen.Open, fmt.Sprintf("… %s. Asking again with the same key %s (try %d).", refused.Problem.Title, pause, w.Again+1)))
	default:
		r.screen.Say(screen.In(screen.Open, fmt.Sprintf("… No answer came back. Asking again with the same key %s (try %d).", pause, w.Again+1)))
	}
}

// worst is the first failure that is no outcome of a payment: a decline is one,
// and stands in the verdict.
func worst(clicks []click) error {
	for _, k := range clicks {
		if k.err != nil && !client.Is(k.err, wire.KindDeclined) {
			return k.err
		}
	}
	return nil
}

func (r *run) drawOrder(o wire.Order) {
	for _, item := range o.Items {
		r.screen.Line(screen.In(screen.Strong, fmt.Sprintf("%d × %s", item.Quantity, item.Name)),
			screen.T(money.Of(o.AmountMinor, o.Currency).String()), screen.In(screen.Soft, o.ID))
	}
}
