package naive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/reply"
)

// trialLimit bounds a trial, lateness how long a trial waits for what should
// still come after everything else has.
const (
	trialLimit = 30 * time.Second
	lateness   = 4 * time.Second
	look       = 100 * time.Millisecond
)

// trial runs one guard's scenario, with all others on.
type trial struct {
	*routes
	client   buyer
	merchant uuid.UUID
	set      Set

	about checkout // whose bill it is
	want  Counts   // what should be on it
	story []string
}

type trialView struct {
	Guard    Guard    `json:"guard"`
	On       bool     `json:"on"`
	Harm     bool     `json:"harm"`
	HarmName string   `json:"harm_name"`
	ID       string   `json:"id"`
	Bill     Bill     `json:"bill"`
	Story    []string `json:"story"`
}

// try is POST /v1/lab/guards/{slug}/trials.
func (r *routes) try(w http.ResponseWriter, q *http.Request) {
	guard, known := aboutOf(q.PathValue("slug"))
	if !known {
		reply.Refuse(w, q, wire.KindNotFound, "No guard is called so; GET /v1/lab/guards lists them.")
		return
	}
	var asked struct {
		On bool `json:"on"`
	}
	if !reply.Read(w, q, r.schemas["TrialRequest"].Value, &asked) {
		return
	}
	preset, but := "all", Guard("")
	if !asked.On {
		preset, but = "all-but", guard.Slug
	}
	set, err := Preset(preset, but)
	if err != nil {
		panic(err) // the guard is known
	}
	ctx, cancel := context.WithTimeout(q.Context(), trialLimit)
	defer cancel()
	merchant := caller.From(ctx).Merchant
	t := &trial{routes: r, merchant: merchant, set: set, client: r.outside(merchant)}
	if err := scenarios[guard.Slug](ctx, t); err != nil {
		r.unavailable(w, q, "the trial did not come to its end", err)
		return
	}
	n, err := t.settle(ctx)
	if err != nil {
		r.unavailable(w, q, "who counts", err)
		return
	}
	bill := billOf(n, t.want, countedBy("naive shop"))
	t.tell("Counted by the provider, the mailbox and the naive tables: %s.", inWords(n))
	reply.JSON(w, http.StatusOK, trialView{guard.Slug, asked.On, len(bill.Harm) > 0, guard.HarmName, t.about.name(), bill, t.story})
}

func (r *routes) outside(merchant uuid.UUID) buyer {
	return buyer{r.client.As(r.tokens.APIKey(merchant))}
}

func inWords(n Counts) string {
	return fmt.Sprintf("%d charged, %d declined, %d booked, %d mails, %d good tickets, %d refunded",
		n.Charges, n.Declines, n.LedgerTransactions, n.Mails, n.Tickets, n.Refunds)
}

func (t *trial) tell(format string, args ...any) {
	t.story = append(t.story, fmt.Sprintf(format, args...))
}

// place makes a checkout with troubles. The bill will be that of the latest.
func (t *trial) place(ctx context.Context, troubles ...Trouble) (err error) {
	const tickets = 2
	t.about, err = place(ctx, t.db, t.merchant, t.set, tickets, troubles...)
	t.want = bought(t.about)
	return err
}

// bought is the bill of one purchase.
func bought(c checkout) Counts {
	return Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: c.Quantity}
}

func (t *trial) path(what string) string { return "/v1/lab/naive/checkouts/" + t.about.name() + what }

func (t *trial) body(card string) map[string]any {
	return map[string]any{"amount_minor": t.about.AmountMinor, "currency": t.about.Currency, "card_token": card}
}

// pay clicks until there is an outcome, with one key.
func (t *trial) pay(ctx context.Context, key, card string) (response, int, error) {
	const patience = 30 // tries; a claim that was left is taken over before that
	return t.client.insist(ctx, t.path("/capture"), key, t.body(card), patience)
}

// settle waits until nothing of the checkout can be under way any more and
// returns its counts. Its witness is another buyer without troubles, who pays
// by the same queues when our own events are out: when that one has everything, so should
// ours. What is missing then gets some time more, because a relay that was refused
// tries again.
func (t *trial) settle(ctx context.Context) (n Counts, err error) {
	mine, want := t.about, t.want
	if err := t.published(ctx, mine); err != nil {
		return n, err
	}
	if err := t.place(ctx); err != nil {
		return n, err
	}
	defer func() { t.about, t.want = mine, want }()
	if _, _, err := t.pay(ctx, "witness-"+uuid.NewString(), "tok_ok"); err != nil {
		return n, fmt.Errorf("the witness could not pay: %w", err)
	}
	if n, err = t.until(ctx, trialLimit, t.about, t.want); err != nil || n != t.want {
		return n, fmt.Errorf("the witness has %s: %w", inWords(n), cmp.Or(err, errNoOutcome))
	}
	return t.until(ctx, lateness, mine, want)
}

const unpublishedSQL = `SELECT count(*) FROM outbox_events WHERE aggregate_id = $1 AND published_at IS NULL`

// published waits until the checkout's events have left, or patience is over: a relay
// keeps the order of one checkout's events and of no two.
func (t *trial) published(ctx context.Context, c checkout) error {
	return looking(ctx, lateness, func() (bool, error) {
		var n int
		err := t.db.Get(ctx, &n, unpublishedSQL, c.ID)
		return n == 0, err
	})
}

// looking looks again until it is done, or patience is over, which is no error: ctx's end
// is one.
func looking(ctx context.Context, patience time.Duration, done func() (bool, error)) error {
	ending, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if enough, err := done(); err != nil || enough {
			return err
		}
		select {
		case <-ending.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}

// until counts until the counts are as wanted, or patience is over.
func (t *trial) until(ctx context.Context, patience time.Duration, c checkout, want Counts) (n Counts, err error) {
	err = looking(ctx, patience, func() (_ bool, err error) {
		n, err = t.count(ctx, t.o.Mailbox, c)
		return n == want, err
	})
	return n, err
}

// refunded waits until the refund of the checkout has ended.
func (t *trial) refunded(ctx context.Context) (state string, err error) {
	err = looking(ctx, trialLimit, func() (bool, error) {
		c, err := load(ctx, t.db, t.merchant, t.about.ID)
		state = c.Refund
		return state != "asked", err
	})
	return state, err
}

// statusOf reads what a buyer was answered, in one word.
func statusOf(t response) string {
	var body struct {
		Status any `json:"status"`
	}
	if err := json.Unmarshal(t.Body, &body); err != nil || t.Status >= http.StatusInternalServerError {
		return "an error"
	}
	if word, ok := body.Status.(string); ok {
		return word
	}
	return fmt.Sprintf("refused (%d)", t.Status)
}
