package refund_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/refund"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

var half = money.Of(4200, "EUR")

// stored writes a refund of 42.00 EUR in a state and returns it.
func stored(t testing.TB, db *postgres.DB, status string) uuid.UUID {
	t.Helper()
	id, merchant := uuid.Must(uuid.NewV7()), uuid.New()
	var failure any
	if status == refund.Failed {
		failure = "refund_not_possible"
	}
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(t.Context(), `INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, merchant, merchant[:]); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `INSERT INTO refunds (id, merchant_id, payment_id, order_id, request_key, status, amount_minor, currency, reason, failure_code, saga_id)
			VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), 'k', $3, 4200, 'EUR', 'requested_by_customer', $4, gen_random_uuid())`, id, merchant, status, failure)
		return err
	}))
	return id
}

// said makes the event of a message about a refund.
func said(t testing.TB, key, status string, amount money.Money) inbox.Message {
	t.Helper()
	kind, decline := event.TypeProviderRefundSucceeded, ""
	if status != "succeeded" {
		kind, decline = event.TypeProviderRefundFailed, "refund_not_possible"
	}
	id := uuid.Must(uuid.NewV7())
	payload, err := json.Marshal(event.ProviderRefund{
		Schema: event.SchemaVersion, Provider: "simulated", MessageID: "msg_" + id.String(), RefundID: "re_" + id.String(), ChargeID: "ch_1",
		Reference: "ref_1", ProviderKey: key, Amount: amount, Status: status, DeclineCode: decline, SentAt: time.Now().UTC(),
	})
	require.NoError(t, err)
	return inbox.Message{EventID: id.String(), Type: kind, Payload: payload, AggregateID: uuid.New().String(), AggregateVersion: 1, Time: time.Now()}
}

func alerts(t testing.TB, db *postgres.DB, kind string) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM alerts WHERE kind = $1 AND state = 'open'`, kind))
	return n
}

func TestWhatTheProviderTellsOfARefundIsAgreedWithOrToldToAPersonAndMovesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored, says  string
		amount        money.Money
		contradiction int
	}{
		"success of one under way":       {refund.Pending, "succeeded", half, 0},
		"refusal of one under way":       {refund.Pending, "declined", half, 0},
		"success after a stored success": {refund.Succeeded, "succeeded", half, 0},
		"refusal after a stored failure": {refund.Failed, "declined", half, 0},
		"success after a stored failure": {refund.Failed, "succeeded", half, 1},
		"refusal after a stored success": {refund.Succeeded, "declined", half, 1},
		"success with another amount":    {refund.Pending, "succeeded", money.Of(4201, "EUR"), 1},
		"success in another currency":    {refund.Succeeded, "succeeded", money.Of(4200, "USD"), 1},
		"a refusal with another amount":  {refund.Failed, "declined", money.Of(1, "EUR"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := devtest.Postgres(t)
			id := stored(t, db, c.stored)
			for range 5 { // each message of a storm that an inbox would not know
				m := said(t, refund.ProviderKey(id), c.says, c.amount)
				require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
					return refund.Notices{Payments: purse{}}.Handle(t.Context(), tx, []inbox.Message{m})
				}))
			}
			require.Equal(t, c.contradiction, alerts(t, db, "provider_contradiction"), "said once while it is open")
			var now string
			require.NoError(t, db.Get(t.Context(), &now, `SELECT status FROM refunds WHERE id = $1`, id))
			require.Equal(t, c.stored, now)
		})
	}
}

func TestMoneyThatWentBackWithoutARefundOfOursIsToldToAPersonAndARefusalIsNot(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for _, key := range []string{"", "by hand", "refund:ref_0123", refund.ProviderKey(uuid.New())} {
		for _, says := range []string{"declined", "succeeded"} {
			m := said(t, key, says, half)
			require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
				return refund.Notices{Payments: purse{}}.Handle(t.Context(), tx, []inbox.Message{m})
			}))
		}
	}
	require.Equal(t, 4, alerts(t, db, "provider_unknown_refund"))
	require.Zero(t, alerts(t, db, "provider_contradiction"))
}

func TestWhatTheProviderTellsOfRefundsIsAppliedOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: event.ConsumerProvider, Types: []string{event.TypeProviderRefundSucceeded, event.TypeProviderRefundFailed},
			Handler: patterns.Handler(refund.Notices{Payments: purse{}}.Handle).Inbox()}),
		devtest.SampleOf(func(t testing.TB, _ *postgres.DB) inbox.Message { return said(t, "by hand", "succeeded", half) }, func(t testing.TB, db *postgres.DB, m inbox.Message) (n int) {
			t.Helper()
			require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM alerts WHERE subject = $1`, "re_"+m.EventID))
			return n
		}, 0))
}
