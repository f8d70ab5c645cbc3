package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/once/inbox"
	"payonce/once/saga"
)

// silent is a provider that is away, or whose answer is lost on its way back.
type silent struct {
	provider.Refunder
	lost bool
}

func (p silent) Refund(ctx context.Context, r provider.RefundRequest) (provider.Refund, error) {
	if p.lost {
		_, err := p.Refunder.Refund(ctx, r)
		return provider.Refund{}, errors.Join(provider.ErrInDoubt, err)
	}
	return provider.Refund{}, provider.ErrInDoubt
}

func (p silent) RefundByKey(context.Context, string) (provider.Refund, bool, error) {
	return provider.Refund{}, false, provider.ErrInDoubt
}

// command is the refund's newest command to the provider.
func (h *house) command(s sale) inbox.Message {
	h.t.Helper()
	m := inbox.Message{EventID: h.newest(s, event.CommandRefund).String(), Type: event.CommandRefund, Scope: s.merchant.String(), Correlation: s.payment.String()}
	require.NoError(h.t, h.db.Get(context.Background(), &m.Payload, `SELECT payload FROM outbox_events WHERE event_id = $1`, m.EventID))
	return m
}

func (h *house) newest(s sale, kind string) (id uuid.UUID) {
	h.t.Helper()
	require.NoError(h.t, h.db.Get(context.Background(), &id,
		`SELECT event_id FROM outbox_events WHERE correlation_id = $1 AND type = $2 ORDER BY seq DESC LIMIT 1`, s.payment, kind))
	return id
}

func (h *house) intend(p provider.Refunder, m inbox.Message) (call inbox.Call) {
	h.t.Helper()
	ctx := context.Background()
	require.NoError(h.t, postgres.InTx(ctx, h.db, func(tx postgres.Tx) (err error) {
		call, err = refund.Gateway{Provider: p}.Around().Intend(ctx, tx, m)
		return err
	}))
	return call
}

func (h *house) record(r inbox.Record) {
	h.t.Helper()
	require.NoError(h.t, postgres.InTx(context.Background(), h.db, func(tx postgres.Tx) error { return r(context.Background(), tx) }))
}

// wheres are the places at which a living command, or its answer, can be while a
// person decides. Each puts it there and returns what happens to it afterwards.
// gone says whether the money has left by the time when the provider is asked.
var wheres = map[string]struct {
	gone  bool
	until []string // types that are held back until the decision
	put   func(h *house, s sale) (after func())
}{
	"in the outbox": {until: []string{event.CommandRefund}, put: func(*house, sale) func() { return func() {} }},
	"in the queue": {until: []string{event.CommandRefund}, put: func(h *house, s sale) func() {
		m := h.command(s)
		return func() { h.ask(m) }
	}},
	"in the retry queue": {until: []string{event.CommandRefund}, put: func(h *house, s sale) func() {
		m := h.command(s)
		_, err := h.intend(silent{}, m)(context.Background())
		require.Error(h.t, err)
		return func() { h.ask(m) }
	}},
	"dead, then replayed twice": {until: []string{event.CommandRefund}, put: func(h *house, s sale) func() {
		m := h.command(s)
		for range 3 {
			_, err := h.intend(silent{}, m)(context.Background())
			require.Error(h.t, err)
		}
		return func() {
			h.ask(m)
			m.EventID = uuid.Must(uuid.NewV7()).String() // the inbox has forgotten it
			h.ask(m)
		}
	}},
	"on the wire": {gone: true, until: []string{event.CommandRefund}, put: func(h *house, s sale) func() {
		call := h.intend(h.books, h.command(s))
		return func() {
			record, err := call(context.Background())
			require.NoError(h.t, err)
			h.record(record)
		}
	}},
	"answer lost": {gone: true, until: []string{event.CommandRefund}, put: func(h *house, s sale) func() {
		_, err := h.intend(silent{h.books, true}, h.command(s))(context.Background())
		require.Error(h.t, err)
		return func() {}
	}},
	"reply queued": {gone: true, until: []string{event.CommandRefund, event.CommandRefund + ".done"}, put: func(h *house, s sale) func() {
		record, err := h.intend(h.books, h.command(s))(context.Background())
		require.NoError(h.t, err)
		h.record(record)
		return func() {}
	}},
}

// decide resolves a saga as a person does, lets what is under way end, and has
// the provider asked when no call can be under way any more.
func (h *house) decide(id string, as saga.State, meanwhile func()) saga.Saga {
	h.t.Helper()
	ctx := context.Background()
	d := story.WithLook(refund.StepRefund, refund.Gateway{Provider: h.books}.Look)
	now, err := d.Resolve(ctx, h.db.Once(), id, as, "op", "called the bank")
	var no *saga.Contradiction
	if !errors.As(err, &no) {
		require.NoError(h.t, err)
	}
	meanwhile()
	if now.Decision.Pending() {
		h.exec(`UPDATE saga_decisions SET look_at = clock_timestamp() WHERE state = 'pending'`)
		n, err := saga.Decisions{Definition: d, DB: h.db.Once()}.RunOnce(ctx)
		require.NoError(h.t, err)
		require.Equal(h.t, 1, n)
	}
	now, err = patterns.Sagas.Read(ctx, h.db.Once(), id)
	require.NoError(h.t, err)
	return now
}

// back counts what the provider gave back for a payment.
func (h *house) back(s sale) (n int) {
	h.t.Helper()
	charges, err := h.books.ChargesByReference(context.Background(), s.name())
	require.NoError(h.t, err)
	for _, c := range charges {
		all, err := h.books.RefundsOfCharge(context.Background(), c.ID)
		require.NoError(h.t, err)
		n += len(all)
	}
	return n
}

func TestADecisionIsFinalWhereverTheCommandIsAndIsRefusedWhenTheProviderSaysOtherwise(t *testing.T) {
	t.Parallel()
	for where, c := range wheres {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			for _, as := range []saga.State{saga.Completed, saga.Compensated} {
				for _, minor := range []int64{8400, 2000} {
					s := h.sold("tok_ok")
					h.silent = c.until
					id := h.giveBack(s, minor)
					for range 4 {
						h.overdue(id)
					}
					require.Equal(t, saga.Stuck, h.sagaOf(id).State)
					after := c.put(h, s)
					now := h.decide(h.sagaOf(id).ID, as, func() {
						if c.gone {
							after()
						}
					})
					if !c.gone {
						after()
					}
					h.silent = nil
					accepted := c.gone == (as == saga.Completed)
					h.mustAgree(s, id, now, as, accepted)
				}
			}
			h.proven()
		})
	}
}

// judge lets everything arrive, and then says whether one thing is true.
func (h *house) mustAgree(s sale, id uuid.UUID, decided saga.Saga, as saga.State, accepted bool) {
	h.t.Helper()
	want := saga.DecisionRefused
	if accepted {
		want = saga.DecisionAccepted
	}
	require.Equal(h.t, want, decided.Decision.State, "%s: %s", as, decided.Decision.Found)
	h.deliver()
	end := as
	if !accepted {
		h.overdue(id) // asked about as before the decision
		end = saga.Completed
	}
	now := h.sagaOf(id)
	require.Equal(h.t, end, now.State)
	require.Zero(h.t, h.openAlerts(now))
	gone := 1
	if end == saga.Compensated {
		gone = 0
		require.Zero(h.t, h.count(`SELECT count(*) FROM tickets WHERE payment_id = $1 AND status = 'void'`, s.payment))
	}
	require.Equal(h.t, gone, h.back(s), "what the provider gave back")
	require.Equal(h.t, accepted, now.ResolvedBy != nil)
}

func TestWhileTheProviderIsAwayADecisionIsPendingAndEndsByItself(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_ok")
	h.silent = []string{event.CommandRefund}
	id := h.giveBack(s, 8400)
	for range 4 {
		h.overdue(id)
	}
	away := story.WithLook(refund.StepRefund, refund.Gateway{Provider: silent{}, Deadline: time.Second}.Look)
	now, err := away.Resolve(t.Context(), h.db.Once(), h.sagaOf(id).ID, saga.Compensated, "op", "called the bank")
	require.NoError(t, err)
	require.Equal(t, saga.DecisionPending, now.Decision.State)
	require.Contains(t, now.Decision.Found, "cannot be asked")
	h.silent = nil
	h.deliver() // every copy of the command
	require.Equal(t, saga.Stuck, h.sagaOf(id).State)
	require.Zero(t, h.back(s))
	h.exec(`UPDATE saga_decisions SET look_at = clock_timestamp()`)
	n, err := saga.Decisions{Definition: story.WithLook(refund.StepRefund, refund.Gateway{Provider: h.books}.Look), DB: h.db.Once()}.RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	h.deliver()
	require.Equal(t, saga.Compensated, h.sagaOf(id).State)
	require.Zero(t, h.back(s))
	h.proven()
}
