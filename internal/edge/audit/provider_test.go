package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/webhook"
)

// noticedVariable holds what must have noticed a provider that breaks its
// contract; see internal/lab/mutants/provider.go. With the kind simulator, and
// with every provider that keeps its contract, nothing has.
const noticedVariable = "PAYONCE_PROVIDER_NOTICED"

// listening is a house that its provider tells what happened.
func listening(t *testing.T) *house {
	t.Helper()
	secret := bytes.Repeat([]byte("s"), 32)
	verifier, err := webhook.NewVerifier([]string{"whsec_" + base64.StdEncoding.EncodeToString(secret)}, time.Now)
	require.NoError(t, err)
	var h *house
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.hear(verifier, r); err != nil {
			t.Logf("a message is refused: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	h = openIn(t, world.Options{Webhooks: world.Webhooks{URL: door.URL, Secrets: [][]byte{secret}, Shuffle: 20 * time.Millisecond}})
	t.Cleanup(door.Close)
	// The consumer gets a message about a refund when the refund is over.
	h.silent = []string{event.TypeProviderRefundSucceeded, event.TypeProviderRefundFailed}
	return h
}

// hear does what the edge does with a message of the provider.
func (h *house) hear(verifier *webhook.Verifier, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	m, err := verifier.Verify(r.Header, body)
	if err != nil {
		return err
	}
	notice, err := simulated.ReadNotice(m.Body)
	if err != nil {
		return errors.Join(err, h.UnreadableNotice(r.Context(), m, err))
	}
	if _, err := h.ReceiveNotice(r.Context(), m, notice); err != nil || notice.Charge == nil {
		return err
	}
	// The consumer gets a message about a charge, perhaps before its answer arrives.
	var rows []unpublished
	types := pq.Array([]string{event.TypeProviderChargeSucceeded, event.TypeProviderChargeFailed})
	if err := h.db.Select(r.Context(), &rows, unpublishedSQL+` AND type = ANY ($1) ORDER BY seq`, types); err != nil {
		return err
	}
	for _, row := range rows {
		if err := h.applied(event.ConsumerProvider, row.message()); err != nil {
			return err
		}
	}
	return nil
}

// fromOutside reads names from the world's own database: what a listing leaves
// out is there too.
func (h *house) fromOutside(query string) (names []string) {
	h.t.Helper()
	db, err := sql.Open("postgres", h.world.DSN)
	require.NoError(h.t, err)
	defer db.Close()
	rows, err := db.QueryContext(h.t.Context(), query)
	require.NoError(h.t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(h.t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(h.t, rows.Err())
	return names
}

const (
	// Each copy of a message is to be delivered once before it is judged.
	unsaid = `SELECT id FROM webhook_messages m WHERE (SELECT count(*) FROM webhook_deliveries d WHERE d.message_id = m.id) < m.copies`
	// A message that was refused is sent again later.
	unheard = `SELECT message_id FROM webhook_deliveries WHERE status_code IS DISTINCT FROM 200`
)

// try captures, whatever comes of it.
func (h *house) try(payment uuid.UUID, token string, patience time.Duration) {
	h.t.Helper()
	h.within(patience)
	res, err := h.Capture(context.Background(), checkout.Capture{
		Merchant: h.merchant, Key: uuid.NewString(), Payment: payment, Amount: money.Of(8400, "EUR"), Token: token, Wait: time.Second,
	})
	h.t.Logf("%s with %s: %d %v", checkout.PaymentRef(payment), token, res.Answer.Status, err)
	h.within(ordinary)
}

// within goes on as a process would that gives the provider so much time.
func (h *house) within(patience time.Duration) {
	cfg := h.Config
	cfg.ProviderDeadline = patience
	h.Service = checkout.New(cfg)
}

const ordinary, hasty = 4 * time.Second, 300 * time.Millisecond

// buy places an order and tries its cards in turn, until it is paid or has had
// every chance.
func (h *house) buy(patience time.Duration, tokens ...string) sale {
	h.t.Helper()
	s := sale{merchant: h.merchant, payment: h.order(h.merchant)}
	for _, token := range tokens {
		h.try(s.payment, token, patience)
	}
	for range 3 {
		_, _ = checkout.Sweeper{Service: h.Service}.RunOnce(h.t.Context())
		if h.captured(s) {
			break
		}
		h.try(s.payment, tokens[len(tokens)-1], ordinary)
	}
	h.deliver()
	return s
}

func (h *house) captured(s sale) bool {
	return h.count(`SELECT count(*) FROM payments WHERE id = $1 AND captured_at IS NOT NULL`, s.payment) == 1
}

// wrong is everything that says that something is not as it should be: the kinds
// of open alerts, the invariants that are red or cannot be seen, payments that
// could not be brought to an end, refunds that did not go back, and messages of
// the provider that were refused.
func (h *house) wrong() string {
	h.t.Helper()
	var found []string
	require.NoError(h.t, h.db.Select(h.t.Context(), &found, `SELECT DISTINCT kind FROM alerts WHERE state = 'open'`))
	r, err := h.impatient().CheckAll(h.t.Context())
	require.NoError(h.t, err)
	for _, i := range r.Invariants {
		switch {
		case !i.Observable:
			found = append(found, "unseen")
		case !i.OK:
			found = append(found, i.ID)
		}
	}
	if h.count(`SELECT count(*) FROM payments WHERE captured_at IS NULL`) > 0 {
		found = append(found, "unpaid")
	}
	if h.count(`SELECT count(*) FROM refunds WHERE status <> 'succeeded'`) > 0 {
		found = append(found, "not_refunded")
	}
	if len(h.fromOutside(unheard)) > 0 {
		found = append(found, "message_refused")
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ",")
}

// Every way to the provider that a payment and a refund have: a charge, cards
// that are declined, an answer that is lost, one that stumbles, refunds, one of
// them lost, and everything told by webhook. Run by the mutants of the simulator.
func TestWhateverTheProviderDoesTheShopIsRightOrItSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := listening(t)
	plain := h.buy(ordinary, "tok_ok")
	h.buy(ordinary, "tok_declined", "tok_declined", "tok_declined", "tok_declined", "tok_ok")
	h.buy(hasty, "tok_timeout_after")
	h.buy(ordinary, "tok_500_then_ok")
	lost := h.buy(ordinary, "tok_refund_timeout_after")
	if h.captured(plain) {
		h.giveBack(plain, 2000)
		h.giveBack(plain, 2000)
	}
	if h.captured(lost) {
		h.patience = hasty
		h.giveBack(lost, 2000)
	}
	h.judge()
}

// judge waits until the provider has told everything, hears it, and compares what
// noticed something with what must have.
func (h *house) judge() {
	h.t.Helper()
	h.heard()
	if must := os.Getenv(noticedVariable); h.wrong() != must {
		// A provider may list what it has done a moment later.
		assert.Eventually(h.t, func() bool { return h.wrong() == must }, 3*time.Second, 500*time.Millisecond)
		require.Equal(h.t, must, h.wrong())
	}
}

// heard waits until the provider has told everything once, and hears it.
func (h *house) heard() {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return len(h.fromOutside(unsaid)) == 0 }, 20*time.Second, 20*time.Millisecond)
	h.silent = nil
	h.deliver()
	require.Zero(h.t, h.count(`SELECT count(*) - count(DISTINCT aggregate_id) FROM outbox_events WHERE aggregate_type = 'provider_message'`), "a message starts one event")
}

// The list of charges is the shop's only witness before another attempt. One that
// lies by leaving out has to be found out by the other witness, the provider's
// own messages. Run by the mutants of the simulator.
func TestAPaymentThatIsChargedTwiceIsNamedByAnAlert(t *testing.T) {
	t.Parallel()
	h := listening(t)
	payment := h.order(h.merchant)
	for range 3 {
		h.try(payment, "tok_declined", ordinary)
	}
	h.charge(checkout.PaymentRef(payment))
	h.try(payment, "tok_ok", ordinary)
	h.heard()
	require.Positive(t, h.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND (subject = $1 OR facts->>'reference' = $1)`, checkout.PaymentRef(payment)))
}
