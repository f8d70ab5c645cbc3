package naive

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/faults"
	"payonce/internal/lab/reply"
)

// compared is one fault as it is done to both shops.
type compared struct {
	card    string    // both pay with it
	point   string    // of the shop, where an error is injected once
	trouble []Trouble // of the naive one
	again   bool      // the shop's event is delivered again
	says    string
}

// comparisons are the faults that can be done to both. Where the two are not the
// same thing, says tells so.
var comparisons = map[string]compared{
	"none":        {says: "Nothing goes wrong."},
	"lost-answer": {card: "tok_timeout_after", says: "The provider charges and does not answer the first try under each key."},
	"kill-after-charge": {
		point: "capture.after_charge", trouble: []Trouble{EndAfterCharge},
		says: "Right after the charge the request forgets that it was made. Nobody is killed for it: the shop gets an error injected at that point, the naive request ends there.",
	},
	"redeliver": {
		trouble: []Trouble{DeliverTwice}, again: true,
		says: "The event is delivered again: the naive one is published twice, the shop's is sent to each consumer once more.",
	},
	"broker-away": {
		point: "relay.after_fetch", trouble: []Trouble{NoQueue},
		says: "The first try to publish fails: the shop's relay gets an error injected before it, the naive message goes where no queue is bound.",
	},
}

// compareLimit bounds a comparison; compareTries is how often each buyer asks.
const (
	compareLimit = 60 * time.Second
	compareTries = 4
)

type compareRequest struct {
	Clicks int    `json:"clicks"`
	Keys   string `json:"keys"`
	Fault  string `json:"fault"`
}

type sideView struct {
	ID         string `json:"id,omitempty"`
	PaymentID  string `json:"payment_id,omitempty"`
	Deliveries int    `json:"deliveries"` // clicks and their retries
	Bill       Bill   `json:"bill"`
}

type compareView struct {
	Clicks    int      `json:"clicks"`
	Keys      string   `json:"keys"`
	Fault     string   `json:"fault"`
	FaultSays string   `json:"fault_says"`
	Payonce   sideView `json:"payonce"`
	Naive     sideView `json:"naive"`
}

// compare is POST /v1/lab/compare.
func (r *routes) compare(w http.ResponseWriter, q *http.Request) {
	var asked compareRequest
	if !reply.Read(w, q, r.schemas["CompareRequest"].Value, &asked) {
		return
	}
	ctx, cancel := context.WithTimeout(q.Context(), compareLimit)
	defer cancel()
	merchant := caller.From(ctx).Merchant
	run := comparison{routes: r, merchant: merchant, client: r.outside(merchant), asked: asked, fault: comparisons[asked.Fault]}
	if run.fault.card == "" {
		run.fault.card = "tok_ok"
	}
	view := compareView{Clicks: asked.Clicks, Keys: asked.Keys, Fault: asked.Fault, FaultSays: run.fault.says}
	var (
		sides            sync.WaitGroup
		ofShop, ofTheirs error
	)
	sides.Go(func() { view.Payonce, ofShop = run.shop(ctx) })
	sides.Go(func() { view.Naive, ofTheirs = run.naive(ctx) })
	sides.Wait()
	for _, err := range []error{ofShop, ofTheirs} {
		if err != nil {
			r.unavailable(w, q, "the comparison did not come to its end", err)
			return
		}
	}
	reply.JSON(w, http.StatusOK, view)
}

// comparison does the same to both shops.
type comparison struct {
	*routes
	merchant uuid.UUID
	client   buyer
	asked    compareRequest
	fault    compared
}

func (c comparison) clicks(ctx context.Context, path string, amount int64) int {
	body := map[string]any{"amount_minor": amount, "currency": currency, "card_token": c.fault.card}
	return c.client.burst(ctx, c.asked.Clicks, c.asked.Keys == "fresh", path, body, compareTries)
}

// naive runs the naive side, with no guard on.
func (c comparison) naive(ctx context.Context) (v sideView, err error) {
	t := &trial{routes: c.routes, client: c.client, merchant: c.merchant}
	if err := t.place(ctx, c.fault.trouble...); err != nil {
		return v, err
	}
	v.ID = t.about.name()
	v.Deliveries = c.clicks(ctx, t.path("/capture"), t.about.AmountMinor)
	n, err := t.settle(ctx)
	v.Bill = billOf(n, t.want, countedBy("naive shop"))
	return v, err
}

type proofOf struct {
	Absorbed struct {
		Inbox int `json:"inbox"`
	} `json:"absorbed"`
	Effects struct {
		Charges            int `json:"charges"`
		Mails              int `json:"mails"`
		Tickets            int `json:"tickets"`
		LedgerTransactions int `json:"ledger_transactions"`
	} `json:"effects"`
}

// shop runs the real side, and takes its counts from the payment's proof: what
// the provider and the mailbox say, and the shop's own books.
func (c comparison) shop(ctx context.Context) (v sideView, err error) {
	const tickets = 2
	var order struct {
		AmountMinor int64 `json:"amount_minor"`
		Payment     struct {
			ID string `json:"id"`
		} `json:"payment"`
	}
	name := "compare-" + uuid.NewString()
	if err := c.client.post(ctx, "/v1/orders", name, map[string]any{
		"items": []map[string]any{{"sku": "concert-a", "quantity": tickets}}, "email": name + "@example.org",
	}, &order); err != nil {
		return v, err
	}
	v.PaymentID = order.Payment.ID
	if err := c.arm(ctx, v.PaymentID); err != nil {
		return v, err
	}
	v.Deliveries = c.clicks(ctx, "/v1/payments/"+v.PaymentID+"/capture", order.AmountMinor)
	want := Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: tickets}
	n, err := c.proven(ctx, v.PaymentID, want, 0)
	if err == nil && c.fault.again {
		var sent struct {
			Copies int `json:"copies"`
		}
		if err = c.client.post(ctx, "/v1/lab/redeliver", "", map[string]any{"payment_id": v.PaymentID, "times": 1}, &sent); err == nil {
			n, err = c.proven(ctx, v.PaymentID, want, sent.Copies)
		}
	}
	v.Bill = billOf(n, want, countedBy("ledger and tickets"))
	return v, err
}

// arm lets the shop's fault happen, for this payment, once.
func (c comparison) arm(ctx context.Context, payment string) error {
	if c.fault.point == "" {
		return nil
	}
	id, _ := wire.PrefixPayment.Parse(payment)
	_, err := c.o.Faults.Arm(ctx, faults.Fault{Merchant: c.merchant, Point: c.fault.point, Action: "error", Scope: id, Nth: 1})
	return err
}

// proven reads the proof until it shows what is wanted and that so many copies
// were absorbed; when patience is over it returns what there is.
func (c comparison) proven(ctx context.Context, payment string, want Counts, absorbed int) (n Counts, err error) {
	const patience = 25 * time.Second // recovery looks every two seconds
	err = looking(ctx, patience, func() (bool, error) {
		var p proofOf
		if err := c.client.get(ctx, "/v1/payments/"+payment+"/proof", &p); err != nil {
			return false, fmt.Errorf("read the proof: %w", err)
		}
		n = Counts{Charges: p.Effects.Charges, LedgerTransactions: p.Effects.LedgerTransactions, Mails: p.Effects.Mails, Tickets: p.Effects.Tickets}
		return n == want && p.Absorbed.Inbox >= absorbed, nil
	})
	return n, err
}
