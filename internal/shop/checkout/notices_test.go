package checkout_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/webhook"
)

func TestWhatTheProviderSaidIsHeardOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	silent := checkout.New(checkout.Config{Log: slog.New(slog.DiscardHandler)})
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: checkout.NoticesName, Types: checkout.NoticesTypes, Handler: patterns.Handler(checkout.Notices{Service: silent}.Handle).Inbox()}),
		devtest.SampleOf(unheardCharge, alertsOf, 0))
}

// unheardCharge is of nobody here: what it causes is an alert.
func unheardCharge(t testing.TB, _ *postgres.DB) inbox.Message {
	t.Helper()
	return chargeSaid(t, "key-"+uuid.NewString(), "ch_"+uuid.NewString(), "succeeded", money.Of(8400, "EUR"))
}

func alertsOf(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	var e event.ProviderCharge
	require.NoError(t, json.Unmarshal(m.Payload, &e))
	var n int
	require.NoError(t, db.Get(context.Background(), &n, `SELECT count(*) FROM alerts WHERE kind = 'provider_unknown_charge' AND subject = $1`, e.ChargeID))
	return n
}

func chargeSaid(t testing.TB, key, charge, status string, amount money.Money) inbox.Message {
	t.Helper()
	return chargeSaidOf(t, "pay_1", key, charge, status, amount)
}

func chargeSaidOf(t testing.TB, reference, key, charge, status string, amount money.Money) inbox.Message {
	t.Helper()
	kind := event.TypeProviderChargeSucceeded
	e := event.ProviderCharge{
		Schema: event.SchemaVersion, Provider: "simulated", MessageID: "msg_" + uuid.NewString(), ChargeID: charge,
		Reference: reference, ProviderKey: key, Amount: amount, Status: status, SentAt: time.Now().UTC(),
	}
	if status == "declined" {
		kind, e.DeclineCode = event.TypeProviderChargeFailed, "insufficient_funds"
	}
	payload, err := json.Marshal(e)
	require.NoError(t, err)
	aggregate := uuid.New()
	return inbox.Message{
		EventID: uuid.Must(uuid.NewV7()).String(), Type: kind, Payload: payload,
		AggregateID: aggregate.String(), AggregateVersion: 1, Correlation: aggregate.String(), Time: time.Now(),
	}
}

// hear gives messages to the consumer, as its runner does.
func (s *shop) hear(messages ...inbox.Message) {
	s.t.Helper()
	require.NoError(s.t, postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
		return checkout.Notices{Service: s.Service}.Handle(s.t.Context(), tx, messages)
	}))
}

func (s *shop) alerts(kind alert.Kind) int {
	return s.count(`SELECT count(*) FROM alerts WHERE kind = $1 AND state = 'open'`, kind.Name)
}

func providerKey(payment uuid.UUID, no string) string {
	return "capture:" + checkout.PaymentRef(payment) + ":" + no
}

var amount84 = money.Of(8400, "EUR")

func TestAMessageMakesTheQuestionDueAndTheProvidersOwnAnswerDecides(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"it says what is true": "succeeded", "it says what is not": "declined"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, patience(300*time.Millisecond), func(c *checkout.Config) { c.Doubt = []time.Duration{time.Hour} })
			p := s.payment()
			res, err := s.capture(p, "K", "tok_timeout_after")
			require.NoError(t, err)
			require.Equal(t, 202, res.Answer.Status)
			finished, err := checkout.Sweeper{Service: s.Service}.RunOnce(t.Context())
			require.NoError(t, err)
			require.Zero(t, finished, "nothing is due for an hour")
			charge := s.world.ChargesByKey(providerKey(p, "1"))[0]
			s.hear(chargeSaid(t, providerKey(p, "1"), charge.ID, says, amount84))
			finished, err = checkout.Sweeper{Service: s.Service}.RunOnce(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, finished)
			require.Equal(t, 1, s.count(`SELECT count(*) FROM payments WHERE status = 'captured'`))
			require.Len(t, s.world.ChargesByReference(checkout.PaymentRef(p)), 1)
			require.Zero(t, s.count(`SELECT count(*) FROM alerts`))
		})
	}
}

func TestAMessageAfterTheAnswerAgreesFiveTimesAndMovesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.payment()
	_, err := s.capture(p, "K", "tok_ok")
	require.NoError(t, err)
	before := s.count(`SELECT version FROM payments`)
	charge := s.world.ChargesByKey(providerKey(p, "1"))[0]
	for range 5 {
		s.hear(chargeSaid(t, providerKey(p, "1"), charge.ID, "succeeded", amount84))
	}
	require.Equal(t, before, s.count(`SELECT version FROM payments`))
	require.Zero(t, s.count(`SELECT count(*) FROM alerts`))
}

func TestAMessageThatContradictsAStoredOutcomeAlertsAndMovesNoAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token, says, charge string
		amount              money.Money
		raised              alert.Kind
	}{
		"success after a stored decline":     {"tok_declined", "succeeded", "ch_late", amount84, provider.AlertContradiction},
		"decline after a stored success":     {"tok_ok", "declined", "ch_other", amount84, provider.AlertContradiction},
		"a second charge under one key":      {"tok_ok", "succeeded", "ch_second", amount84, provider.AlertContradiction},
		"the stored success, other amount":   {"tok_ok", "succeeded", "ch_other", money.Of(8401, "EUR"), checkout.AlertAmount},
		"the stored success, other currency": {"tok_ok", "succeeded", "ch_other", money.Of(8400, "USD"), checkout.AlertAmount},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			p := s.payment()
			_, err := s.capture(p, "K", c.token)
			require.NoError(t, err)
			state := `SELECT md5(string_agg(p.status || p.version || a.status || coalesce(a.provider_charge_id, ''), ',' ))  FROM payments p JOIN payment_attempts a ON a.payment_id = p.id`
			var before, after string
			require.NoError(t, s.db.Get(t.Context(), &before, state))
			s.hear(chargeSaid(t, providerKey(p, "1"), c.charge, c.says, c.amount))
			s.hear(chargeSaid(t, providerKey(p, "1"), c.charge, c.says, c.amount))
			require.NoError(t, s.db.Get(t.Context(), &after, state))
			require.Equal(t, before, after)
			require.Equal(t, 1, s.alerts(c.raised))
			require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts`))
		})
	}
}

func TestADeclineOfAttemptOneThatComesLateSaysNothingAboutAttemptTwo(t *testing.T) {
	t.Parallel()
	s := open(t, patience(300*time.Millisecond), func(c *checkout.Config) { c.Doubt = []time.Duration{time.Hour} })
	p := s.payment()
	_, err := s.capture(p, "K1", "tok_declined")
	require.NoError(t, err)
	res, err := s.capture(p, "K2", "tok_timeout_after")
	require.NoError(t, err)
	require.Equal(t, 202, res.Answer.Status)
	first := s.world.ChargesByKey(providerKey(p, "1"))[0]
	s.hear(chargeSaid(t, providerKey(p, "1"), first.ID, "declined", amount84))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE attempt_no = 2 AND status = 'in_doubt' AND next_ask_at > clock_timestamp()`))
	second := s.world.ChargesByKey(providerKey(p, "2"))[0]
	s.hear(chargeSaid(t, providerKey(p, "2"), second.ID, "succeeded", amount84))
	_, err = checkout.Sweeper{Service: s.Service}.RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE attempt_no = 2 AND status = 'succeeded'`))
	require.Zero(t, s.count(`SELECT count(*) FROM alerts`))
}

func TestTheReceiptAndItsEventCommitTogetherOrNeither(t *testing.T) {
	t.Parallel()
	s := open(t)
	notice := provider.Notice{Provider: "simulated", Kind: "charge.succeeded", Charge: &provider.Charge{
		ID: "ch_1", Reference: "pay_1", IdempotencyKey: "k", Amount: amount84, Status: provider.Succeeded}}
	m := webhook.Message{ID: "msg_1", At: time.Now(), Body: []byte("{}")}
	// An outbox that takes nothing: a day without its partition is one.
	s.exec(`ALTER TABLE outbox_events ADD CONSTRAINT "full" CHECK (false) NOT VALID`)
	_, err := s.ReceiveNotice(t.Context(), m, notice)
	require.Error(t, err)
	require.Zero(t, s.count(`SELECT count(*) FROM webhook_receipts`), "no receipt without its event")
	s.exec(`ALTER TABLE outbox_events DROP CONSTRAINT "full"`)
	got, err := s.ReceiveNotice(t.Context(), m, notice)
	require.NoError(t, err)
	require.Equal(t, webhook.Fresh, got.Verdict)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM webhook_receipts`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox_events WHERE type = 'provider.charge_succeeded'`))
}
