package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// crowd is careful buyers, many at once: each places an order and captures it,
// and asks again with the same key until it has an outcome. What they were told
// about captures is kept.
type crowd struct {
	*stage.Buyer
	t *testing.T

	mu      sync.Mutex
	left    int // orders that may still be begun
	begun   int
	paid    []stage.Checkout
	first   map[int]int // first answers, by status; 0 is none
	answers map[int]int // all answers
	wrong   []string    // answers that leave a client without a way on
	// away counts the answers that said "not now", to orders and captures.
	away atomic.Int64
}

func newCrowd(t *testing.T, s *stage.Stage, orders int) *crowd {
	t.Helper()
	return &crowd{Buyer: s.Buyer(), t: t, left: orders, first: map[int]int{}, answers: map[int]int{}}
}

// shop lets n buyers buy, with a pause after each purchase, until done is closed
// or nothing is left. It returns how to wait for them.
func (c *crowd) shop(n int, pause time.Duration, done <-chan struct{}, token func(i int) string) (wait func()) {
	var buyers sync.WaitGroup
	for i := range n {
		buyers.Go(func() {
			for {
				o, some := c.next()
				if !some {
					return
				}
				c.pay(o, token(i))
				select {
				case <-done:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	return buyers.Wait
}

// next places the next order.
func (c *crowd) next() (o stage.Checkout, some bool) {
	c.mu.Lock()
	if c.left == 0 {
		c.mu.Unlock()
		return o, false
	}
	c.left--
	c.begun++
	email := fmt.Sprintf("%s-%d@example.org", c.MerchantID, c.begun)
	c.mu.Unlock()
	placed := c.insist(email+" no order", func(ctx context.Context) bool {
		checkout, r, err := c.TryOrder(ctx, email)
		o = checkout
		return err == nil && c.leadsOn(r) && r.Status == http.StatusCreated
	})
	return o, placed
}

func ok(int) string { return "tok_ok" }

// pay asks until the payment is captured.
func (c *crowd) pay(o stage.Checkout, token string) {
	try := 0
	c.insist(o.PaymentID+" no outcome", func(ctx context.Context) bool {
		try++
		r, err := c.Capture(ctx, o, o.PaymentID, token)
		if err != nil {
			r.Status = 0
		}
		return c.note(o, try, r)
	})
}

// insist asks until it is answered, two minutes at most.
func (c *crowd) insist(what string, ask func(ctx context.Context) bool) bool {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		answered := ask(ctx)
		cancel()
		if answered {
			return true
		}
		select {
		case <-c.t.Context().Done():
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, what+" in two minutes")
	return false
}

// note keeps an answer and says whether it was the outcome.
func (c *crowd) note(o stage.Checkout, try int, r stage.Response) (outcome bool) {
	on := r.Status == 0 || c.leadsOn(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[r.Status]++
	if try == 1 {
		c.first[r.Status]++
	}
	if outcome = on && r.Status == http.StatusOK; outcome {
		c.paid = append(c.paid, o)
	}
	return outcome
}

// leadsOn says whether an answer is an outcome or says when to ask again.
func (c *crowd) leadsOn(r stage.Response) bool {
	switch r.Status {
	case http.StatusOK, http.StatusCreated:
		return true
	case http.StatusAccepted, http.StatusConflict, http.StatusServiceUnavailable:
		if r.Header.Get("Retry-After") != "" {
			if r.Status == http.StatusServiceUnavailable {
				c.away.Add(1)
			}
			return true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf("%d, Retry-After %q: %s", r.Status, r.Header.Get("Retry-After"), r.Body))
	return false
}

// captured is how many have their outcome by now.
func (c *crowd) captured() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.paid)
}

// until waits for a condition that the crowd's work brings about.
func (c *crowd) until(what string, holds func() bool) {
	c.t.Helper()
	require.Eventually(c.t, holds, 60*time.Second, 20*time.Millisecond, what)
}

// settles requires that everything acknowledged is there once, and that nobody
// was sent away without a way on.
func (c *crowd) settles() {
	c.t.Helper()
	require.Empty(c.t, c.wrong)
	work := make(chan stage.Checkout)
	var lookers sync.WaitGroup
	for range 4 {
		lookers.Go(func() {
			for o := range work {
				c.Settles(o)
			}
		})
	}
	for _, o := range c.paid {
		work <- o
	}
	close(work)
	lookers.Wait()
	require.Equal(c.t, len(c.paid), c.Stage.Count(`SELECT count(*) FROM payments p JOIN orders o ON o.id = p.order_id WHERE p.status = 'captured' AND o.email LIKE $1 || '%'`, c.MerchantID))
	require.Zero(c.t, c.Stage.Count(`SELECT count(*) FROM dead_letters`))
	c.t.Logf("%d captured; first answers %v, all answers %v", len(c.paid), c.first, c.answers)
}
