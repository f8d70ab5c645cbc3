package simulated_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

// lister is a provider that only lists: n rows of one reference, a few on a page.
type lister struct {
	n, perPage int
	circles    bool // its last page leads back to the first but one
	repeats    bool // each page begins with the last row of the one before
	slow       time.Duration
	foreign    bool // its last row is about something else
}

func (l lister) open(t *testing.T) *simulated.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(server.Close)
	return simulated.New(simulated.Config{URL: server.URL})
}

func (l lister) serve(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	if from > 0 {
		time.Sleep(l.slow)
	}
	to := min(from+l.perPage, l.n)
	first := from
	if l.repeats && from > 0 {
		first--
	}
	rows := []map[string]any{}
	for i := first; i < to; i++ {
		row := map[string]any{
			"id": fmt.Sprintf("x_%d", i), "reference": "pay_1", "charge_id": "ch_1", "idempotency_key": "k", "amount_minor": 1, "currency": "EUR", "status": "declined",
		}
		if l.foreign && i == l.n-1 {
			row["reference"], row["charge_id"], row["idempotency_key"] = "pay_2", "ch_2", "other"
		}
		rows = append(rows, row)
	}
	answer := map[string]any{"data": rows, "next_cursor": nil}
	switch {
	case to < l.n:
		answer["next_cursor"] = strconv.Itoa(to)
	case l.circles:
		answer["next_cursor"] = strconv.Itoa(l.perPage)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// questions are all callers of a listing: each returns how many rows it saw.
var questions = map[string]func(context.Context, *simulated.Client) (int, error){
	"charges of a payment": func(ctx context.Context, c *simulated.Client) (int, error) {
		all, err := c.ChargesByReference(ctx, "pay_1")
		return len(all), err
	},
	"the charge of a key": func(ctx context.Context, c *simulated.Client) (int, error) {
		_, found, err := c.ChargeByKey(ctx, "k")
		return map[bool]int{true: -1}[found], err
	},
	"refunds of a charge": func(ctx context.Context, c *simulated.Client) (int, error) {
		all, err := c.RefundsOfCharge(ctx, "ch_1")
		return len(all), err
	},
	"the refund of a key": func(ctx context.Context, c *simulated.Client) (int, error) {
		_, found, err := c.RefundByKey(ctx, "k")
		return map[bool]int{true: -1}[found], err
	},
	"every charge": func(ctx context.Context, c *simulated.Client) (n int, err error) {
		err = c.EachCharge(ctx, func(provider.Charge) error { n++; return nil })
		return n, err
	},
	"every refund": func(ctx context.Context, c *simulated.Client) (n int, err error) {
		err = c.EachRefund(ctx, func(provider.Refund) error { n++; return nil })
		return n, err
	},
	"charges since a day": func(ctx context.Context, c *simulated.Client) (int, error) {
		all, err := c.ChargesSince(ctx, time.Time{})
		return len(all), err
	},
	"refunds since a day": func(ctx context.Context, c *simulated.Client) (int, error) {
		all, err := c.RefundsSince(ctx, time.Time{})
		return len(all), err
	},
}

func TestEveryQuestionReadsAllPagesAndCountsEachRowOnce(t *testing.T) {
	t.Parallel()
	for what, ask := range questions {
		for _, n := range []int{99, 100, 101, 1_000} {
			for _, l := range []lister{{n: n, perPage: 3}, {n: n, perPage: 100, repeats: true}} {
				got, err := ask(t.Context(), l.open(t))
				require.NoError(t, err, "%s: %+v", what, l)
				if got >= 0 {
					require.Equal(t, n, got, "%s: %+v", what, l)
				}
			}
		}
	}
}

func TestAListingThatCannotBeReadToItsEndIsIncompleteAndGivesNoPartOfItself(t *testing.T) {
	t.Parallel()
	for what, ask := range questions {
		for name, l := range map[string]lister{
			"it leads in circles":         {n: 9, perPage: 3, circles: true},
			"its second page is too slow": {n: 9, perPage: 3, slow: time.Second},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := ask(ctx, l.open(t))
			cancel()
			require.ErrorIs(t, err, provider.ErrIncomplete, "%s: %s", what, name)
			require.ErrorIs(t, err, provider.ErrInDoubt, "%s: %s", what, name)
		}
	}
	charges, err := lister{n: 9, perPage: 3, circles: true}.open(t).ChargesByReference(t.Context(), "pay_1")
	require.Error(t, err)
	require.Empty(t, charges)
}

func TestARowThatIsNotAboutTheQuestionMakesTheAnswerUnknown(t *testing.T) {
	t.Parallel()
	c := lister{n: 9, perPage: 3, foreign: true}.open(t)
	for _, what := range []string{"charges of a payment", "the charge of a key", "refunds of a charge", "the refund of a key"} {
		_, err := questions[what](t.Context(), c)
		require.ErrorIs(t, err, provider.ErrInDoubt, what)
	}
}
