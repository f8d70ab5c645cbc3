package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
	"payonce/internal/shop/money"
)

// evidence is what happened to one payment, as the shop and the world outside
// tell it.
type evidence struct {
	Payment  wire.Payment   `json:"payment"`
	Attempts []wire.Attempt `json:"attempts"`
	Proof    wire.Proof     `json:"proof"`
	Verdict  verdict        `json:"verdict"`
}

// bad is nil when the payment is paid for, once.
func (e evidence) bad() error {
	if e.Verdict.Tone == "paid" {
		return nil
	}
	return errShown
}

// settle is how long the effects of a payment may take until they are shown as
// they are.
const settle = 20 * time.Second

// gather waits until the effects that must come have come, as many attempts as
// were answered have been written down, and two readings agree: the journal is
// a tenth of a second behind. Then it reads everything.
func gather(r *run, c *client.Client, payment string, by senders, answered int64) (e evidence, err error) {
	path := "/v1/payments/" + url.PathEscape(payment)
	ctx, cancel := context.WithTimeout(r.ctx, settle)
	defer cancel()
	err = client.Until(ctx, func() (bool, error) {
		if e.Payment, err = client.Get[wire.Payment](r.ctx, c, path); err != nil {
			return false, err
		}
		before := e.Proof
		e.Proof, err = client.Get[wire.Proof](r.ctx, c, path+"/proof")
		return arrived(e.Proof) && total(e.Proof) >= answered && reflect.DeepEqual(before, e.Proof), err
	})
	if err != nil {
		return e, err
	}
	if e.Attempts, err = attempts(r, c, path); err != nil {
		return e, err
	}
	e.Verdict = judge(e.Proof, e.Payment, by)
	return e, nil
}

// attempts reads all of a payment's, oldest first.
func attempts(r *run, c *client.Client, path string) ([]wire.Attempt, error) {
	all := []wire.Attempt{}
	for next := ""; ; {
		page, err := client.Get[wire.AttemptList](r.ctx, c, path+"/attempts?limit=100"+next)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.NextCursor == nil {
			break
		}
		next = "&cursor=" + url.QueryEscape(*page.NextCursor)
	}
	slices.SortStableFunc(all, func(a, b wire.Attempt) int { return a.At.Time().Compare(b.At.Time()) })
	return all, nil
}

type proofCommand struct {
	Payment string `arg:"" help:"pay_…"`
}

// Help implements kong.HelpProvider.
func (proofCommand) Help() string {
	return `Every attempt and its fate, where the twins were absorbed, and the effects as the provider and the mailbox count them. Exit code 1 unless the payment is paid for once.

Examples:

    payonce proof pay_019a1c0d4f8b7d10a3c2e4f6b8d0a2c4
    payonce proof pay_… --json | jq .proof.absorbed`
}

// Run shows the evidence.
func (p *proofCommand) Run(r *run) error {
	c, _, err := r.shop()
	if err != nil {
		return err
	}
	e, err := gather(r, c, p.Payment, senders{}, 0)
	if err != nil {
		return err
	}
	err = r.screen.Result(e, func() { r.drawEvidence(e, senders{}) })
	return errors.Join(err, e.bad())
}

// mostRows of a table of attempts; the rest is counted.
const mostRows = 20

func (r *run) drawEvidence(e evidence, by senders) {
	r.screen.Line(screen.T("Payment " + e.Payment.ID + " is " + string(e.Payment.Status)))
	r.screen.Line()
	r.drawAttempts(e.Attempts)
	r.screen.Line()
	r.screen.Line(screen.In(e.Verdict.tone(), e.Verdict.Sentence), screen.In(screen.Soft, tally(e.Proof.Attempts)))
	r.screen.Line()
	r.drawEffects(e.Proof)
	r.screen.Line(screen.T(chain(e.Proof, by)))
	r.screen.Line(screen.T(absorbedWords(e.Proof.Absorbed)))
	if booked := e.Proof.Effects.LedgerTransactions; booked != nil {
		ledger := "nothing booked"
		if *booked > 0 {
			ledger = money.Of(e.Payment.AmountMinor, e.Payment.Currency).String() + " " + times(*booked)
		}
		r.screen.Line(screen.In(screen.Strong, "Ledger: "+ledger))
	}
	if !arrived(e.Proof) {
		r.screen.Line(screen.In(screen.Open, "Not everything has arrived yet; ask again: payonce proof "+e.Payment.ID))
	}
	r.screen.Line(screen.In(screen.Soft, r.place.url+"/?order="+e.Payment.OrderID+" shows it in a browser of the same sandbox"))
}

func (r *run) drawAttempts(all []wire.Attempt) {
	rows := make([][]screen.Cell, 0, len(all))
	for i, a := range all {
		if i == mostRows {
			break
		}
		rows = append(rows, []screen.Cell{
			screen.T(fmt.Sprint(i + 1)), screen.In(screen.Soft, a.At.Time().Local().Format("15:04:05.000")),
			screen.T("…" + ending(a.IdempotencyKey)), screen.In(fateTone(a.Fate), string(a.Fate)),
			screen.T(fmt.Sprint(a.StatusCode)), screen.T(fmt.Sprintf("%d ms", a.LatencyMs)), screen.In(screen.Soft, a.TraceID),
		})
	}
	r.screen.Table([]string{"#", "time", "key", "fate", "status", "took", "trace"}, rows)
	if more := len(all) - mostRows; more > 0 {
		r.screen.Line(screen.In(screen.Soft, fmt.Sprintf("and %d more", more)))
	}
}

// ending is how a key is called: by its last four characters.
func ending(key string) string {
	letters := []rune(key)
	return string(letters[max(0, len(letters)-4):])
}

func (r *run) drawEffects(p wire.Proof) {
	row := func(name string, expected, seen *int64, by *string) []screen.Cell {
		counted, tone := "nobody to ask", screen.Open
		if by != nil {
			counted = "the " + *by
		}
		if seen != nil && expected != nil && *seen == *expected {
			tone = screen.Good
		}
		return []screen.Cell{screen.T(name), screen.In(tone, count(seen)), screen.In(screen.Soft, counted)}
	}
	ledger, shop := "ledger", "shop"
	r.screen.Table([]string{"effect", "times", "counted by"}, [][]screen.Cell{
		row("charge", p.Expected.Charges, p.Effects.Charges, p.CountedBy.Charges),
		row("ledger transaction", p.Expected.LedgerTransactions, p.Effects.LedgerTransactions, &ledger),
		row("mail", p.Expected.Mails, p.Effects.Mails, p.CountedBy.Mails),
		row("ticket", p.Expected.Tickets, p.Effects.Tickets, &shop),
	})
}

func count(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}
