package lesson

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/client"
)

// The naive shop is asked as a visitor asks it: over its routes in api/lab.yaml.
// What it came to is counted by the provider and the mailbox, and by its own
// tables for what only those can know; see package naive.

// naiveCheckout is a checkout without a single guard.
type naiveCheckout struct {
	ID          string `json:"id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

func (s *Scene) naiveOrder(ctx context.Context) (c naiveCheckout, err error) {
	body := map[string]any{"guards": "none"}
	if err := s.must(ctx, http.StatusCreated, client.Request{Method: http.MethodPost, Path: "/v1/lab/naive/checkouts", Body: body}, &c); err != nil {
		return c, err
	}
	s.say(ctx, "The naive shop, with no guard on, has the checkout %s.", c.ID)
	return c, s.watch(ctx, c.ID)
}

func (c naiveCheckout) capturing(key, token string) client.Request {
	return client.Request{
		Method: http.MethodPost, Path: "/v1/lab/naive/checkouts/" + c.ID + "/capture", Key: key,
		Body: map[string]any{"amount_minor": c.AmountMinor, "currency": c.Currency, "card_token": token},
	}
}

// effects are a bill's counts.
type effects struct {
	Charges int `json:"charges"`
	Ledger  int `json:"ledger_transactions"`
	Mails   int `json:"mails"`
	Tickets int `json:"tickets"`
}

// bill is what a checkout came to, beside what it should have.
type bill struct {
	effects
	Expected effects  `json:"expected"`
	Harm     []string `json:"harm"`
}

func billPath(id string) string { return "/v1/lab/naive/checkouts/" + id + "/bill" }

// quiet is how long a bill must stay the same to count as final: the naive shop
// keeps no book of what is still to come.
const quiet = 3 * time.Second

// finalBill reads a bill until it has not changed for a while.
func (s *Scene) finalBill(ctx context.Context, id string) (b bill, err error) {
	var since time.Time
	err = s.await(ctx, "the bill of "+id+" to stay the same", func(ctx context.Context) (bool, error) {
		var now bill
		if err := s.shop.get(ctx, billPath(id), &now); err != nil {
			return false, err
		}
		if since.IsZero() || now.effects != b.effects {
			since = time.Now()
		}
		b = now
		return time.Since(since) >= quiet, nil
	})
	return b, err
}

// judge holds a naive bill against what an effective-once shop would have. The
// statements are the lesson's own, so they may well turn red here.
func (s *Scene) judge(ctx context.Context, id string, b bill) {
	for _, one := range []struct {
		id, statement string
		seen, due     int
	}{
		{"charges", "The provider's books hold as many charges as the buyer meant.", b.Charges, b.Expected.Charges},
		{"ledger", "The ledger has booked it once.", b.Ledger, b.Expected.Ledger},
		{"mails", "The buyer's mailbox shows one mail.", b.Mails, b.Expected.Mails},
		{"tickets", "As many tickets are good as were ordered.", b.Tickets, b.Expected.Tickets},
	} {
		s.saw(ctx, one.id, one.statement, strconv.Itoa(one.due), strconv.Itoa(one.seen), s.shop.curl(billPath(id)))
	}
	if len(b.Harm) > 0 {
		s.say(ctx, "What it came to: %s.", strings.Join(b.Harm, "; "))
	}
}

// naiveClicks plays two clicks at one moment. Keys are same or fresh; the naive
// shop looks at neither.
func naiveClicks(keys, doubled, single string) Play {
	return func(ctx context.Context, s *Scene) (string, error) {
		c, err := s.naiveOrder(ctx)
		if err != nil {
			return "", err
		}
		var clicks sync.WaitGroup
		answers := make([]string, 2)
		for i := range answers {
			key := c.ID
			if keys == "fresh" {
				key = uuid.NewString()
			}
			clicks.Go(func() {
				got, err := s.shop.send(ctx, c.capturing(key, "tok_ok"))
				if answers[i] = got.String(); err != nil {
					answers[i] = "no answer"
				}
			})
		}
		clicks.Wait()
		s.say(ctx, "Two clicks left at the same moment. Answers: %s.", strings.Join(answers, ", "))
		b, err := s.finalBill(ctx, c.ID)
		if err != nil {
			return "", err
		}
		s.judge(ctx, c.ID, b)
		if b.Charges > 1 {
			return doubled, nil
		}
		return single, nil
	}
}

// naiveAgain plays a click whose answer the buyer never reads, and a second one.
func naiveAgain(token, doubled, single string) Play {
	return func(ctx context.Context, s *Scene) (string, error) {
		c, err := s.naiveOrder(ctx)
		if err != nil {
			return "", err
		}
		got, err := s.shop.send(ctx, c.capturing(c.ID, token))
		if err != nil {
			return "", err
		}
		s.say(ctx, "The first click was answered %s. The buyer's line breaks, and nobody reads it.", got)
		if got, err = s.shop.send(ctx, c.capturing(c.ID, token)); err != nil {
			return "", err
		}
		s.say(ctx, "The buyer clicks again, with the same key: %s.", got)
		b, err := s.finalBill(ctx, c.ID)
		if err != nil {
			return "", err
		}
		s.judge(ctx, c.ID, b)
		if b.Charges > 1 {
			return doubled, nil
		}
		return single, nil
	}
}

// compared plays one fault through both shops and looks at the naive side.
func compared(fault string, truth func(effects) string) Play {
	return func(ctx context.Context, s *Scene) (string, error) {
		q := client.Request{Method: http.MethodPost, Path: "/v1/lab/compare", Body: map[string]any{"clicks": 1, "keys": "same", "fault": fault}}
		got, err := s.shop.send(ctx, q) // once: asked again it would buy again
		if err != nil {
			return "", err
		}
		if got.Status != http.StatusOK {
			return "", unexpected(got)
		}
		var both struct {
			FaultSays string `json:"fault_says"`
			Naive     struct {
				ID         string `json:"id"`
				Deliveries int    `json:"deliveries"`
				Bill       bill   `json:"bill"`
			} `json:"naive"`
		}
		if err := got.into(&both); err != nil {
			return "", err
		}
		s.say(ctx, "%s", both.FaultSays)
		s.say(ctx, "The naive shop's buyer asked %s for %s.", times(both.Naive.Deliveries), both.Naive.ID)
		if err := s.watch(ctx, both.Naive.ID); err != nil {
			return "", err
		}
		s.judge(ctx, both.Naive.ID, both.Naive.Bill)
		return truth(both.Naive.Bill.effects), nil
	}
}

// tried plays a guard's own scenario with that guard off and all others on.
func tried(guard, harmed, unharmed string) Play {
	return func(ctx context.Context, s *Scene) (string, error) {
		q := client.Request{Method: http.MethodPost, Path: "/v1/lab/guards/" + guard + "/trials", Body: map[string]any{"on": false}}
		got, err := s.shop.send(ctx, q)
		if err != nil {
			return "", err
		}
		if got.Status != http.StatusOK {
			return "", unexpected(got)
		}
		var trial struct {
			ID       string   `json:"id"`
			Harm     bool     `json:"harm"`
			HarmName string   `json:"harm_name"`
			Story    []string `json:"story"`
			Bill     bill     `json:"bill"`
		}
		if err := got.into(&trial); err != nil {
			return "", err
		}
		s.say(ctx, "All guards are on but one: %s.", guard)
		for _, line := range trial.Story {
			s.say(ctx, "%s", line)
		}
		if err := s.watch(ctx, trial.ID); err != nil {
			return "", err
		}
		s.judge(ctx, trial.ID, trial.Bill)
		s.saw(ctx, "harm", fmt.Sprintf("Without the guard %s this does not happen: %s.", guard, trial.HarmName), "false", strconv.FormatBool(trial.Harm), s.shop.curlOf(q))
		if trial.Harm {
			return harmed, nil
		}
		return unharmed, nil
	}
}

func chargesOf(e effects) int { return e.Charges }
func ledgerOf(e effects) int  { return e.Ledger }
func mailsOf(e effects) int   { return e.Mails }

// more and none read one count of a bill.
func more(count func(effects) int, doubled, single string) func(effects) string {
	return func(e effects) string {
		if count(e) > 1 {
			return doubled
		}
		return single
	}
}

func none(count func(effects) int, missing, there string) func(effects) string {
	return func(e effects) string {
		if count(e) == 0 {
			return missing
		}
		return there
	}
}
