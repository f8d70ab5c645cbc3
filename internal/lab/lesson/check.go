package lesson

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/shop/event"
)

// question is a check before it is asked.
type question struct {
	id, statement string
	expected      string
	// query says how a person asks the same.
	query string
	ask   func(ctx context.Context) (seen string, err error)
	// holds judges what was seen; nil means that it must be what was expected.
	holds func(seen string) bool
	// within is how long it may be asked again; 0 means grace.
	within time.Duration
}

// grace is how long a check may be asked again before what it sees is final.
// Scenarios settle before they check, so this is for the last journal line.
const grace = 8 * time.Second

// check asks until it holds or the grace is over, and notes what it saw last.
func (s *Scene) check(ctx context.Context, q question) {
	c := Check{ID: q.id, Statement: q.statement, Expected: q.expected, Query: q.query}
	deadline := time.Now().Add(cmp.Or(q.within, grace))
	for {
		seen, err := q.ask(ctx)
		c.Seen = seen
		if err != nil {
			c.Seen = "could not be asked: " + err.Error()
		}
		c.OK = err == nil && (q.holds == nil && seen == q.expected || q.holds != nil && q.holds(seen))
		if c.OK || ctx.Err() != nil || time.Now().After(deadline) {
			s.rec.check(ctx, c)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(tick):
		}
	}
}

// counts checks that a counting query says n. It returns what it said last.
func (s *Scene) counts(ctx context.Context, id, statement string, n int, query string, args ...any) int {
	return s.counted(ctx, 0, id, statement, strconv.Itoa(n), func(seen int) bool { return seen == n }, query, args...)
}

// atLeast checks that a counting query says n or more. Such a count only grows,
// and a payment can be settled before it has: by the first copy of an event whose
// second one is still on its way.
func (s *Scene) atLeast(ctx context.Context, id, statement string, n int, query string, args ...any) int {
	return s.counted(ctx, settle, id, statement, fmt.Sprintf("at least %d", n), func(seen int) bool { return seen >= n }, query, args...)
}

func (s *Scene) counted(ctx context.Context, within time.Duration, id, statement, expected string, holds func(int) bool, query string, args ...any) (last int) {
	s.check(ctx, question{
		id: id, statement: statement, expected: expected, query: filledIn(query, args),
		ask: func(ctx context.Context) (string, error) {
			err := s.db.Get(ctx, &last, query, args...)
			return strconv.Itoa(last), err
		},
		holds:  func(string) bool { return holds(last) },
		within: within,
	})
	return last
}

// saw checks something that only the scenario could see, as the answer that it
// got over the wire; the query is the request. It has been seen, so it is not
// asked again.
func (s *Scene) saw(ctx context.Context, id, statement, expected, seen, query string) {
	s.rec.check(ctx, Check{ID: id, Statement: statement, OK: seen == expected, Seen: seen, Expected: expected, Query: query})
}

// filledIn is a query as it was run, with its values, for whoever asks again.
func filledIn(query string, args []any) string {
	query = strings.TrimSpace(query)
	for n := len(args); n > 0; n-- { // $12 before $1
		query = strings.ReplaceAll(query, "$"+strconv.Itoa(n), literal(args[n-1]))
	}
	return query
}

func literal(v any) string {
	switch v := v.(type) {
	case int, int64:
		return fmt.Sprint(v)
	case string:
		return pq.QuoteLiteral(v)
	case uuid.UUID:
		return pq.QuoteLiteral(v.String())
	}
	return pq.QuoteLiteral(fmt.Sprint(v))
}

// charges counts live charges for a payment in the provider's own books.
func (s *Scene) charges(ctx context.Context, c checkout) (n int, err error) {
	var list struct {
		Data []struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	if err := s.world.get(ctx, chargesPath(c.payment), &list); err != nil {
		return 0, err
	}
	for _, one := range list.Data {
		if one.Status == "succeeded" {
			n++
		}
	}
	return n, nil
}

func chargesPath(reference string) string {
	return "/v1/charges?reference=" + url.QueryEscape(reference)
}

// checkCharges holds the provider's books against a number, and returns theirs.
func (s *Scene) checkCharges(ctx context.Context, c checkout, want int) (n int) {
	s.check(ctx, question{
		id: "charges", statement: fmt.Sprintf("The provider's own books hold %s for this payment.", plural(want, "charge")),
		expected: strconv.Itoa(want), query: s.world.curl(chargesPath(c.payment)),
		ask: func(ctx context.Context) (string, error) {
			var err error
			n, err = s.charges(ctx, c)
			return strconv.Itoa(n), err
		},
	})
	return n
}

func receiptPath(c checkout) string {
	return "/mailbox/messages?message_id=" + url.QueryEscape("<receipt."+c.payment+"@payonce>")
}

// receipts says how many receipts the buyer's mailbox shows, and how often they
// arrived.
func (s *Scene) receipts(ctx context.Context, c checkout) (messages, deliveries int, err error) {
	var list struct {
		Data []struct {
			Deliveries int `json:"deliveries"`
		} `json:"data"`
	}
	err = s.world.get(ctx, receiptPath(c), &list)
	for _, one := range list.Data {
		messages, deliveries = messages+1, deliveries+one.Deliveries
	}
	return messages, deliveries, err
}

func (s *Scene) checkReceipts(ctx context.Context, c checkout) {
	s.check(ctx, question{
		id: "mails", statement: "The buyer's mailbox shows one receipt.", expected: "1", query: s.world.curl(receiptPath(c)),
		ask: func(ctx context.Context) (string, error) {
			n, _, err := s.receipts(ctx, c)
			return strconv.Itoa(n), err
		},
	})
}

const (
	ledgerSQL  = `SELECT count(*) FROM ledger_transactions WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'capture'`
	ticketsSQL = `SELECT count(*) FROM tickets WHERE merchant_id = $1 AND payment_id = $2 AND status = 'issued'`
)

// checkOnce holds every effect of a paid order for two tickets against one, in
// the books of those who can know. It returns the provider's count.
func (s *Scene) checkOnce(ctx context.Context, c checkout) (charges int) {
	charges = s.checkCharges(ctx, c, 1)
	s.counts(ctx, "ledger", "The ledger has booked the capture once.", 1, ledgerSQL, s.merchant, c.id)
	s.checkReceipts(ctx, c)
	s.counts(ctx, "tickets", "Two tickets were issued, as ordered.", 2, ticketsSQL, s.merchant, c.id)
	return charges
}

// unsettledSQL counts what is still under way in a payment's story.
const unsettledSQL = `
SELECT (SELECT count(*) FROM payments WHERE id = $1 AND status IN ('capturing', 'in_doubt'))
     + (SELECT count(*) FROM outbox_events WHERE correlation_id = $1 AND merchant_id = $2 AND published_at IS NULL)
     + (SELECT count(*) FROM sagas WHERE correlation_id = $1 AND state IN ('running', 'waiting', 'compensating'))
     + (SELECT count(*) FROM emails WHERE payment_id = $1 AND status = 'queued')
     + (SELECT count(*) FROM outbox_events o
          JOIN unnest($3::text[], $4::text[]) AS b (consumer, type) ON b.type = o.type
         WHERE o.correlation_id = $1 AND o.merchant_id = $2 AND o.destination IS NULL
           AND NOT EXISTS (SELECT FROM consumer_inbox i WHERE i.consumer = b.consumer AND i.event_id = o.event_id)
           AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.consumer = b.consumer AND d.event_id = o.event_id::text))`

// settled waits until nothing of a payment's story is under way: published,
// applied by each consumer or with a person, mailed.
func (s *Scene) settled(ctx context.Context, c checkout) error {
	var consumers, types []string
	for _, one := range event.Consumers {
		for _, kind := range one.Types {
			if !one.Lossy {
				consumers, types = append(consumers, one.Name), append(types, kind)
			}
		}
	}
	return s.await(ctx, "everything that follows from "+c.payment, func(ctx context.Context) (bool, error) {
		var n int
		err := s.db.Get(ctx, &n, unsettledSQL, c.id, s.merchant, pq.Array(consumers), pq.Array(types))
		return n == 0, err
	})
}

func plural(n int, word string) string {
	if n == 1 {
		return "one " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
