package refund_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// fake is a provider that says what a test wants.
type fake struct {
	refund, byKey provider.Refund
	found         bool
	err           error
	sent          int
}

func (f *fake) Refund(context.Context, provider.RefundRequest) (provider.Refund, error) {
	f.sent++
	return f.refund, f.err
}

func (f *fake) RefundByKey(context.Context, string) (provider.Refund, bool, error) {
	return f.byKey, f.found, nil
}

func TestWhatTheProviderSaysIsYesNoOrNothing(t *testing.T) {
	t.Parallel()
	r := event.Refund{RefundID: uuid.New(), MerchantID: uuid.New(), PaymentID: uuid.New(), Amount: money.Of(8400, "EUR"), ProviderChargeID: "ch_1"}
	yes := provider.Refund{ID: "re_1", ChargeID: "ch_1", Amount: r.Amount, Status: provider.Succeeded}
	wrong := yes
	wrong.Amount = money.Of(1, "EUR")
	for name, c := range map[string]struct {
		fake  fake
		reply string
		class retry.Class
	}{
		"yes":                                  {fake{refund: yes}, "provider.refund.done", ""},
		"no":                                   {fake{refund: provider.Refund{Status: provider.Declined, DeclineCode: "x"}}, "provider.refund.failed", ""},
		"silence":                              {fake{err: provider.ErrInDoubt}, "", retry.ClassAmbiguous},
		"nothing left this process":            {fake{err: provider.ErrNotSent}, "", retry.ClassTransient},
		"a rejected request undoes nothing":    {fake{err: provider.ErrRefused}, "", retry.ClassPermanent},
		"another amount is neither yes nor no": {fake{refund: wrong}, "", retry.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := devtest.Postgres(t)
			err := deliver(t, db, &c.fake, commandFor(t, r))
			if c.class != "" {
				require.Error(t, err)
				require.Equal(t, c.class, retry.ClassOf(err))
				require.Empty(t, replies(t, db), "it is not known, so it is not said")
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{c.reply}, replies(t, db))
		})
	}
}

func TestAnOldIntentIsAskedAboutBeforeItIsSentAgain(t *testing.T) {
	t.Parallel()
	r := event.Refund{RefundID: uuid.New(), MerchantID: uuid.New(), PaymentID: uuid.New(), Amount: money.Of(8400, "EUR"), ProviderChargeID: "ch_1"}
	db := devtest.Postgres(t)
	m := commandFor(t, r)
	lost := &fake{err: provider.ErrInDoubt}
	require.Error(t, deliver(t, db, lost, m))
	// The provider has forgotten its keys; its books have not.
	knows := &fake{found: true, byKey: provider.Refund{ID: "re_1", ChargeID: "ch_1", Amount: r.Amount, Status: provider.Succeeded}, err: errors.New("must not be sent again")}
	require.NoError(t, deliver(t, db, knows, m))
	require.Zero(t, knows.sent)
	require.Equal(t, []string{"provider.refund.done"}, replies(t, db))
}

// Two refunds of one charge that are alike but for their keys. Run by the mutants
// of the simulator.
func TestAsManyRefundsAreDoneAsTheProviderMade(t *testing.T) {
	t.Parallel()
	books, db := simulated.New(simulated.Config{URL: worldtest.Start(t, world.Options{}).URL}), devtest.Postgres(t)
	r := charge(t, books, "tok_ok")
	charged := r.Amount
	r.Amount = money.Of(2000, "EUR")
	for range 2 {
		r.RefundID = uuid.New()
		m := commandFor(t, r)
		for range 3 { // as its retries would
			err := deliver(t, db, books, m)
			if err == nil {
				break
			}
			require.Equal(t, retry.ClassAmbiguous, retry.ClassOf(err))
		}
	}
	balance, err := books.Balance(t.Context())
	require.NoError(t, err)
	done := 0
	for _, reply := range replies(t, db) {
		if reply == "provider.refund.done" {
			done++
		}
	}
	require.EqualValues(t, 2000*done, charged.AmountMinor-balance["EUR"])
}

func deliver(t *testing.T, db *postgres.DB, p provider.Refunder, m inbox.Message) error {
	t.Helper()
	var call inbox.Call
	around := refund.Gateway{Provider: p}.Around()
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) (err error) {
		call, err = around.Intend(t.Context(), tx, m)
		return err
	}))
	record, err := call(t.Context())
	if err != nil {
		return err
	}
	return postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return record(t.Context(), tx) })
}

func replies(t *testing.T, db *postgres.DB) (types []string) {
	t.Helper()
	require.NoError(t, db.Select(t.Context(), &types, `SELECT type FROM outbox_events ORDER BY seq`))
	return types
}
