package audit_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// fault is one thing that is wrong with a sale, and the invariants that see it.
type fault struct {
	what string
	// red are the invariants that must turn red; every other one must not. None is
	// red when this is no fault, or when something that the check believes names it.
	red []string
	// names ends what each red invariant names; nil for the payment.
	names func(a scene) string
	// plant are statements about the payment ($1), world changes what the provider
	// and the mailbox say.
	plant []string
	world func(w *outside, a scene)
	// onlyAll says that only the operator's look sees it: it is no merchant's.
	// onlyOwn says that the short look at everybody leaves it out.
	onlyAll, onlyOwn bool
}

// scene is a sale into which faults are planted, with the names of its parts.
type scene struct {
	sale
	charge         string // its own at the provider
	unpaid, untold string // a payment and its order that are not paid
	events         map[string]string
	back, stayed   string // a refund that went through, one that failed
	saga           string // of the first
	external       string // a refund that was made at the provider
}

func theOrder(a scene) string    { return event.OrderName(a.order) }
func theBack(a scene) string     { return a.back }
func theExternal(a scene) string { return a.external }
func anything(scene) string      { return "" }

func theEvent(kind, suffix string) func(scene) string {
	return func(a scene) string { return a.events[kind] + suffix }
}

// outside is what the provider and the mailbox said when everything was right, as
// far as a fault changes it. It is both for an audit.
type outside struct {
	charges []provider.Charge
	refunds []provider.Refund
	mails   []audit.Mail
	more    int64 // that the balance says and the lists do not
}

func (w *outside) clone() *outside {
	return &outside{charges: slices.Clone(w.charges), refunds: slices.Clone(w.refunds), mails: slices.Clone(w.mails)}
}

func (w *outside) ChargesByReference(_ context.Context, reference string) (some []provider.Charge, _ error) {
	for _, c := range w.charges {
		if c.Reference == reference {
			some = append(some, c)
		}
	}
	return some, nil
}

func (w *outside) EachCharge(_ context.Context, f func(provider.Charge) error) (err error) {
	for _, c := range w.charges {
		err = errors.Join(err, f(c))
	}
	return err
}

func (w *outside) RefundsOfCharge(_ context.Context, charge string) (some []provider.Refund, _ error) {
	for _, r := range w.refunds {
		if r.ChargeID == charge {
			some = append(some, r)
		}
	}
	return some, nil
}

func (w *outside) EachRefund(_ context.Context, f func(provider.Refund) error) (err error) {
	for _, r := range w.refunds {
		err = errors.Join(err, f(r))
	}
	return err
}

func (w *outside) Balance(context.Context) (map[string]int64, error) {
	balance := map[string]int64{"EUR": w.more}
	for _, c := range w.charges {
		if c.Status == provider.Succeeded {
			balance[c.Amount.Currency] += c.Amount.AmountMinor
		}
	}
	for _, r := range w.refunds {
		if r.Status == provider.Succeeded {
			balance[r.Amount.Currency] -= r.Amount.AmountMinor
		}
	}
	return balance, nil
}

func (w *outside) EachMail(_ context.Context, f func(audit.Mail) error) error {
	for _, m := range w.mails {
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

func (w *outside) MailsByMessageID(context.Context, string) ([]audit.Mail, error) {
	return nil, errors.New("no audit asks this")
}

// listen asks the real provider and the real mailbox for everything.
func (h *house) listen() *outside {
	h.t.Helper()
	w, ctx := &outside{}, h.t.Context()
	require.NoError(h.t, h.books.EachCharge(ctx, func(c provider.Charge) error { w.charges = append(w.charges, c); return nil }))
	require.NoError(h.t, h.books.EachRefund(ctx, func(r provider.Refund) error { w.refunds = append(w.refunds, r); return nil }))
	require.NoError(h.t, bursts.NewMailbox(h.world.URL).EachMail(ctx, func(m audit.Mail) error { w.mails = append(w.mails, m); return nil }))
	return w
}

// bench is a database that an audit sees through one connection, in a transaction
// that holds a fault and is rolled back.
type bench struct {
	*postgres.DB
	t    *testing.T
	only driver.Conn
}

// onlyConnector opens one connection and remembers it.
type onlyConnector struct {
	driver.Connector
	bench *bench
}

func (c onlyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.bench.only != nil {
		return nil, errors.New("the connection that holds the fault is lost")
	}
	var err error
	c.bench.only, err = c.Connector.Connect(ctx)
	return c.bench.only, err
}

// farDays drops the partitions of days to come, which are empty: each look would open
// all thirty of them.
const farDays = `DO $$
DECLARE day regclass;
BEGIN
  FOR day IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent IN ('outbox_events'::regclass, 'consumer_inbox'::regclass)
     AND right(inhrelid::regclass::text, 8) > to_char(now() AT TIME ZONE 'UTC' + interval '2 days', 'YYYYMMDD')
  LOOP
    EXECUTE 'DROP TABLE ' || day;
  END LOOP;
END $$`

func newBench(t *testing.T, dsn string) *bench {
	t.Helper()
	b := &bench{t: t}
	db, err := postgres.Open(t.Context(), postgres.Config{
		DSN: dsn, PoolSize: 1, IdleInTxTimeout: time.Minute, LockTimeout: time.Minute, StatementTimeout: time.Minute,
		Wrap: func(c driver.Connector) driver.Connector { return onlyConnector{c, b} },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, db.Ping(t.Context()))
	b.DB = db
	return b
}

func (b *bench) exec(query string, args ...driver.NamedValue) {
	b.t.Helper()
	_, err := b.only.(driver.ExecerContext).ExecContext(context.Background(), query, args)
	require.NoError(b.t, err, query)
}

// with runs do while the fault is there. Triggers and foreign keys are off, or most
// faults could not be planted.
func (b *bench) with(f fault, a scene, do func()) {
	b.exec(`BEGIN`)
	defer b.exec(`ROLLBACK`)
	b.exec(`SET LOCAL session_replication_role = replica`)
	for _, query := range f.plant {
		var args []driver.NamedValue
		if strings.Contains(query, "$1") {
			args = []driver.NamedValue{{Ordinal: 1, Value: a.payment.String()}}
		}
		b.exec(query, args...)
	}
	do()
}

func TestEveryPlantedFaultTurnsExactlyItsInvariantsRed(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	h := openOn(t, db, world.Options{})
	scenes := h.scenes()
	neighbour := h.sell(h.newMerchant())
	healthy := h.listen()
	h.exec(farDays)
	t.Run("states", func(t *testing.T) {
		for _, state := range faults {
			t.Run(state.in, func(t *testing.T) {
				t.Parallel()
				b, a := newBench(t, dsn), scenes[state.in]
				b.see(t, fault{}, a, &neighbour, healthy)
				looked := map[string]bool{}
				for _, f := range state.faults {
					set, other := fmt.Sprint(f.red, f.onlyAll, f.onlyOwn), &neighbour
					if looked[set] {
						other = nil
					}
					looked[set] = true
					t.Run(f.what, func(t *testing.T) { b.see(t, f, a, other, healthy) })
				}
			})
		}
	})
	h.proven() // through the real connections, and nothing stayed
}

// see audits with a fault, as the operator. Its merchant and another one look once
// for each set of invariants that turn red: that is about their scope and not about
// the fault.
func (b *bench) see(t *testing.T, f fault, a scene, other *sale, healthy *outside) {
	t.Helper()
	says := healthy.clone()
	if f.world != nil {
		f.world(says, a)
	}
	auditor := audit.New(audit.Options{DB: b.DB, Books: says, Mailbox: says, Every: time.Hour, Grace: time.Nanosecond})
	b.t = t
	b.with(f, a, func() {
		all, err := auditor.CheckAll(t.Context())
		require.NoError(t, err)
		f.mustTurnRed(t, all, a)
		if other == nil {
			return
		}
		f.mustNotBeTheirs(t, auditor, *other)
		own, err := auditor.Check(t.Context(), a.merchant)
		require.NoError(t, err)
		if f.onlyAll {
			require.Empty(t, red(own))
			return
		}
		f.mustTurnRed(t, own, a)
		for _, id := range f.red {
			require.Zero(t, invariant(t, own, id).Foreign, "one's own are not foreign: %s", id)
		}
	})
}

// mustNotBeTheirs looks as another merchant, who is shown a number.
func (f fault) mustNotBeTheirs(t *testing.T, auditor *audit.Auditor, other sale) {
	t.Helper()
	r, err := auditor.Check(t.Context(), other.merchant)
	require.NoError(t, err)
	require.Empty(t, red(r), "another merchant is shown none of it")
	require.True(t, r.OK)
	for _, id := range f.red {
		require.Equal(t, !f.onlyOwn && !f.onlyAll, invariant(t, r, id).Foreign > 0, "another merchant's are counted: %s", id)
	}
}

func (f fault) mustTurnRed(t *testing.T, r audit.Report, a scene) {
	t.Helper()
	broken := red(r)
	require.ElementsMatch(t, f.red, slices.Collect(maps.Keys(broken)), "%v", broken)
	require.Equal(t, len(f.red) == 0, r.OK)
	require.Equal(t, len(f.red) == 0, r.Proven())
	name := a.name()
	if f.names != nil {
		name = f.names(a)
	}
	for _, id := range f.red {
		named := slices.ContainsFunc(broken[id], func(v string) bool { return strings.HasSuffix(v, name) })
		require.True(t, named || f.onlyAll, "%s does not name %s but %v", id, name, broken[id])
		require.False(t, invariant(t, r, id).OK)
	}
}
