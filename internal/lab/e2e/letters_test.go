package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/message"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// postOffice is the way of a message, on real parts: outbox, relay, broker,
// ledger, dead letters, and a person who decides.
type postOffice struct {
	t       *testing.T
	db      *postgres.DB
	broker  *rabbit.Conn
	ledger  *inbox.Runner
	letters retry.DeadLetters
	// broken is the bug that makes the ledger refuse some payments.
	mu     sync.Mutex
	broken map[string]bool
}

var quick = retry.Schedule{50 * time.Millisecond, 150 * time.Millisecond}

var errBug = errors.New("a bug that somebody will fix")

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	dsn, url := devtest.DSN(t), devtest.Broker(t)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	p := &postOffice{t: t, db: db, broken: map[string]bool{}, letters: event.DeadLetters(db, 14*24*time.Hour)}
	p.letters.Takes = nil // nothing samples the queues here
	connect := func() *rabbit.Conn {
		conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: event.Topology(quick), BackoffMin: 10 * time.Millisecond})
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		return conn
	}
	p.broker = connect()
	relay, err := outbox.NewRelay(patterns.Relay(outbox.Config{
		DB: db.Once(), Publisher: connect().Publisher(rabbit.PublisherConfig{}),
		Source: "/test", Log: slog.New(slog.DiscardHandler), Poll: 20 * time.Millisecond,
	}, nil))
	require.NoError(t, err)
	p.ledger, err = inbox.New(patterns.Consumer(inbox.Config{
		Consumer: ledger.Name, Types: ledger.Types, Handler: patterns.Handler(p.book).Inbox(), ByBusinessKey: event.ByBusinessKey(ledger.Name),
		DB: db.Once(), Broker: p.broker, Publisher: connect().Publisher(rabbit.PublisherConfig{}), Schedule: quick,
	}, nil))
	require.NoError(t, err)
	collector, err := retry.NewCollector(patterns.Collector(retry.CollectorConfig{
		DB: db.Once(), Broker: connect(), Recount: 50 * time.Millisecond,
	}, nil))
	require.NoError(t, err)
	for _, work := range []func(context.Context) error{relay.Run, p.ledger.Run, collector.Run} {
		p.background(work)
	}
	return p
}

func (p *postOffice) background(work func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	p.t.Cleanup(func() { stop(); require.NoError(p.t, <-ended) })
}

// book is the ledger with a bug.
func (p *postOffice) book(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range batch {
		if p.broken[m.AggregateID] {
			return errBug
		}
	}
	return ledger.Consumer{}.Handle(ctx, tx, batch)
}

func (p *postOffice) breaks(payment string, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken[payment] = yes
}

// captured commits the event of a payment, with the given id, and returns the
// payment. The ledger is the only one who listens here.
func (p *postOffice) captured(id uuid.UUID) string {
	p.t.Helper()
	e := p.event(id)
	require.NoError(p.t, postgres.InTx(p.t.Context(), p.db, func(tx postgres.Tx) error { return patterns.Append(p.t.Context(), tx, e) }))
	return e.AggregateID
}

func (p *postOffice) event(id uuid.UUID) outbox.Event {
	p.t.Helper()
	payment := uuid.Must(uuid.NewV7())
	captured := event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: uuid.New(), OrderID: uuid.New(), PaymentID: payment, AttemptNo: 1,
		Amount: money.Of(8400, "EUR"), ProviderChargeID: "ch_1", Email: "a@example.org", CapturedAt: time.Now(),
	}
	payload, err := json.Marshal(captured)
	require.NoError(p.t, err)
	return outbox.Event{
		ID: id.String(), Scope: captured.MerchantID.String(), Correlation: payment.String(), AggregateType: "payment", AggregateID: payment.String(), AggregateVersion: 1,
		Type: event.TypePaymentCaptured, Payload: payload,
	}
}

func (p *postOffice) booked(payment string) int {
	return p.count(`SELECT count(*) FROM ledger_transactions WHERE payment_id = $1`, payment)
}

func (p *postOffice) count(query string, args ...any) (n int) {
	p.t.Helper()
	require.NoError(p.t, p.db.Get(p.t.Context(), &n, query, args...))
	return n
}

func (p *postOffice) eventually(what string, holds func() bool) {
	p.t.Helper()
	require.Eventually(p.t, holds, settle, tick, what)
}

// letter waits for the letter of an event in a state.
func (p *postOffice) letter(id string, state retry.State) (found retry.Letter) {
	p.t.Helper()
	p.eventually("the letter is "+string(state), func() bool {
		all, err := p.letters.List(p.t.Context(), retry.Whose{All: true}, state, "", 100)
		require.NoError(p.t, err)
		for _, l := range all {
			if l.EventID == id {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

func (p *postOffice) decide(l retry.Letter, a retry.Action) error {
	_, err := p.letters.Decide(p.t.Context(), retry.Whose{All: true}, l.ID, a, retry.Decision{Who: "the test", Why: "fixed"})
	return err
}

func newEventID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func TestAPoisonMessageReachesTheDeadLettersWithItsReasonWithinTheScheduleWhileLaterMessagesOfOtherPaymentsKeepFlowingReplayAfterAFixAppliesItOnceReplayingTwiceAppliesItOnce(t *testing.T) {
	t.Parallel()
	p := openPostOffice(t)
	poison := p.event(newEventID())
	p.breaks(poison.AggregateID, true)
	require.NoError(t, postgres.InTx(t.Context(), p.db, func(tx postgres.Tx) error { return patterns.Append(t.Context(), tx, poison) }))
	// Others keep flowing: each of these is booked while the poison goes round.
	for range 20 {
		later := p.captured(newEventID())
		p.eventually("a later payment is booked", func() bool { return p.booked(later) == 1 })
	}
	l := p.letter(poison.ID, retry.Open)
	require.Equal(t, errBug.Error(), l.Reason)
	require.Equal(t, len(quick)+1, l.Attempts)
	require.Equal(t, 1, p.count(`SELECT count(*) FROM alerts WHERE kind = 'dead_letter' AND state = 'open'`))

	// Not fixed: the second death is seen again.
	require.NoError(t, p.decide(l, retry.Replay))
	l = p.letter(poison.ID, retry.Open)
	require.Equal(t, 1, l.ReplayNo)

	// Fixed: applied once. A second replay of the same letter is refused.
	p.breaks(poison.AggregateID, false)
	require.NoError(t, p.decide(l, retry.Replay))
	require.ErrorIs(t, p.decide(l, retry.Replay), retry.ErrClosed)
	p.eventually("it is booked", func() bool { return p.booked(poison.AggregateID) == 1 })
	require.Zero(t, p.count(`SELECT count(*) FROM alerts WHERE kind = 'dead_letter' AND state = 'open'`))

	// And should two replays ever leave, the inbox absorbs the second.
	absorbed := p.ledger.Counts().Absorbed
	require.NoError(t, postgres.InTx(t.Context(), p.db, func(tx postgres.Tx) error {
		return event.Resend(t.Context(), tx, retry.Resend{
			EventID: poison.ID, Consumer: ledger.Name, ReplayNo: 3, Scope: poison.Scope, Correlation: poison.Correlation,
			AggregateID: poison.AggregateID, AggregateVersion: 1, Type: poison.Type, Payload: poison.Payload,
		})
	}))
	p.eventually("the second replay is absorbed", func() bool { return p.ledger.Counts().Absorbed == absorbed+1 })
	require.Equal(t, 1, p.booked(poison.AggregateID))
}

func TestAReplayReachesTheOneQueueThroughTheDefaultExchangeWithItsCountAndTheEventsOwnTime(t *testing.T) {
	t.Parallel()
	p := openPostOffice(t)
	e := p.event(newEventID())
	// Tickets and email are bound for the type too, and nobody reads their queues.
	require.NoError(t, postgres.InTx(t.Context(), p.db, func(tx postgres.Tx) error {
		return event.Resend(t.Context(), tx, retry.Resend{
			EventID: e.ID, Consumer: event.ConsumerTickets, ReplayNo: 4, PastWindow: true, Scope: e.Scope, Correlation: e.Correlation,
			AggregateID: e.AggregateID, AggregateVersion: 1, Type: e.Type, Payload: e.Payload,
		})
	}))
	got := make(chan rabbit.Delivery, 1)
	p.background(func(ctx context.Context) error {
		return p.broker.Consume(ctx, rabbit.ConsumerConfig{Queue: event.ConsumerTickets}, func(_ context.Context, batch []rabbit.Delivery) {
			_ = rabbit.Ack(batch...)
			select {
			case got <- batch[0]:
			default:
			}
		})
	})
	select {
	case d := <-got:
		sent, err := patterns.Format.Parse(d.Message)
		require.NoError(t, err)
		require.Empty(t, d.Exchange, "the default exchange")
		require.Equal(t, e.ID, sent.EventID)
		require.Equal(t, 4, sent.Replay)
		require.True(t, sent.PastWindow)
		require.Equal(t, time.Unix(patterns.ID(e.ID).Time().UnixTime()).UTC(), sent.Time.UTC(), "the event's time, not the replay's")
	case <-time.After(settle):
		t.Fatal("nothing came")
	}
	for _, other := range []string{event.ConsumerEmail, event.ConsumerLedger} {
		depth, err := p.broker.Depth(t.Context(), other)
		require.NoError(t, err)
		require.Zero(t, depth.Ready, other)
	}
	require.Zero(t, p.ledger.Counts().Delivered, "the ledger was not bothered")
}

// delivered is an event as the ledger's queue holds it.
func delivered(e outbox.Event) message.Message {
	return patterns.Format.Message(envelope.Envelope{
		EventID: e.ID, Type: e.Type, Source: "/test", AggregateID: e.AggregateID, AggregateVersion: 1,
		Scope: e.Scope, Correlation: e.Correlation, Time: time.Now(), Attempt: 1, Payload: e.Payload,
	}, "", ledger.Name)
}

// ofDay is an event id of another day.
func ofDay(days int) uuid.UUID {
	id := newEventID()
	ms := time.Now().AddDate(0, 0, days).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

func TestALateReplayAfterTheDedupeWindowIsRefusedToAPersonAndAppliedByBusinessKeyOnRequestOnce(t *testing.T) {
	t.Parallel()
	p := openPostOffice(t)
	old := p.event(ofDay(-60))
	message := delivered(old)
	publisher := p.broker.Publisher(rabbit.PublisherConfig{})
	require.NoError(t, publisher.Publish(t.Context(), message))
	l := p.letter(old.ID, retry.Open)
	require.Contains(t, l.Reason, "older_than_dedupe_window")
	require.ErrorIs(t, p.decide(l, retry.Replay), retry.ErrTooOld)
	require.Zero(t, p.booked(old.AggregateID))

	require.Equal(t, []retry.Action{retry.Apply, retry.Discard}, p.letters.Possible(l, false))
	require.NoError(t, p.decide(l, retry.Apply))
	p.eventually("it is booked", func() bool { return p.booked(old.AggregateID) == 1 })
	p.eventually("and counted, which comes after the commit", func() bool { return p.ledger.Counts().Applied == 1 })

	// The same event late once more: a second delivery of what was asked for
	// meets the business key.
	message.Headers[patterns.Format.PastWindow] = true
	require.NoError(t, publisher.Publish(t.Context(), message))
	p.eventually("it was handled again", func() bool { return p.ledger.Counts().Applied == 2 })
	require.Equal(t, 1, p.booked(old.AggregateID))
}

func TestARedeliveryStormOfTwoHundredCopiesHasOneEffectAndOthersKeepFlowing(t *testing.T) {
	t.Parallel()
	p := openPostOffice(t)
	e := p.event(newEventID())
	var copies []message.Message
	for range 200 {
		copies = append(copies, delivered(e))
	}
	var failed atomic.Int32
	p.background(func(ctx context.Context) error {
		for _, err := range p.broker.Publisher(rabbit.PublisherConfig{}).PublishAll(ctx, copies) {
			if err != nil {
				failed.Add(1)
			}
		}
		return nil
	})
	for range 5 {
		other := p.captured(newEventID())
		p.eventually("another payment is booked", func() bool { return p.booked(other) == 1 })
	}
	p.eventually("one is applied and all others absorbed", func() bool { return p.ledger.Counts().Absorbed == 199 })
	require.Zero(t, failed.Load())
	require.Equal(t, 1, p.booked(e.AggregateID))
	require.Zero(t, p.ledger.Counts().Dead)
}
