package delivery_test

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/delivery"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/outbox"
)

// house is a database with events of half an hour ago.
type house struct {
	t  *testing.T
	db *postgres.DB
}

func open(t *testing.T) house {
	t.Helper()
	h := house{t, devtest.Postgres(t)}
	h.exec(`UPDATE delivery_watch SET position = uuid_v7_floor(clock_timestamp() - interval '1 hour')`)
	return h
}

func (h house) exec(query string, args ...any) {
	h.t.Helper()
	require.NoError(h.t, postgres.InTx(h.t.Context(), h.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(h.t.Context(), query, args...)
		return err
	}))
}

func (h house) count(query string, args ...any) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.db.Get(h.t.Context(), &n, query, args...))
	return n
}

// captured appends an event of so many minutes ago.
func (h house) captured(minutes int, published bool) uuid.UUID {
	h.t.Helper()
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().Add(-time.Duration(minutes) * time.Minute).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	require.NoError(h.t, postgres.InTx(h.t.Context(), h.db, func(tx postgres.Tx) error {
		return patterns.Append(h.t.Context(), tx, outbox.Event{ID: id.String(), AggregateType: "payment", AggregateID: uuid.NewString(), AggregateVersion: 1,
			Type: event.TypePaymentCaptured, Payload: []byte(`{"schema":1}`)})
	}))
	if published {
		h.publish(id, minutes)
	}
	return id
}

func (h house) publish(id uuid.UUID, minutes int) {
	h.exec(`UPDATE outbox_events SET published_at = clock_timestamp() - $2 * interval '1 minute' WHERE row_id = $1`, id, minutes)
}

func (h house) applied(consumer string, ids ...uuid.UUID) {
	for _, id := range ids {
		h.exec(`INSERT INTO consumer_inbox (consumer, event_id, processed_at) VALUES ($1, $2, clock_timestamp() - interval '1 minute')
			ON CONFLICT DO NOTHING`, consumer, id)
	}
}

// replay is an event's row for the ledger alone, which has not left.
func (h house) replay(id uuid.UUID) {
	h.exec(`INSERT INTO outbox_events (row_id, event_id, destination, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, replay_no)
		SELECT uuid_v7(), event_id, 'ledger', aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, 1
		  FROM outbox_events WHERE row_id = $1`, id)
}

func (h house) look() {
	h.t.Helper()
	require.NoError(h.t, delivery.Watch{DB: h.db, Patience: 10 * time.Minute, Log: slog.New(slog.DiscardHandler)}.RunOnce(h.t.Context()))
}

// alerts are the consumers with an open alert, and how many events each names.
func (h house) alerts() map[string]int {
	h.t.Helper()
	var rows []struct {
		Subject string `db:"subject"`
		Facts   []byte `db:"facts"`
	}
	require.NoError(h.t, h.db.Select(h.t.Context(), &rows, `SELECT subject, facts FROM alerts WHERE state = 'open' AND kind = $1`, delivery.AlertNotApplied.Name))
	open := map[string]int{}
	for _, r := range rows {
		var facts struct{ Events int }
		require.NoError(h.t, json.Unmarshal(r.Facts, &facts))
		open[r.Subject] = facts.Events
	}
	return open
}

func TestAPublishedEventThatWasNotAppliedInTimeIsAnAlertUntilItIs(t *testing.T) {
	t.Parallel()
	h := open(t)
	lost, whole, late := h.captured(30, true), h.captured(29, true), h.captured(28, false)
	young := h.captured(1, true)
	for _, consumer := range []string{"tickets", "email"} {
		h.applied(consumer, lost, whole, late)
	}
	h.applied("ledger", whole)
	h.look()
	require.Equal(t, map[string]int{"ledger": 1}, h.alerts(), "lost is named; what is unpublished or young is not")
	h.look()
	require.Equal(t, map[string]int{"ledger": 1}, h.alerts(), "said twice it is one alert")

	h.publish(late, 11) // long after the watch had passed it
	h.look()
	require.Equal(t, map[string]int{"ledger": 2}, h.alerts())
	h.applied("ledger", lost)
	h.look()
	require.Equal(t, map[string]int{"ledger": 1}, h.alerts(), "one of two is applied")
	h.applied("ledger", late)
	h.look()
	require.Empty(t, h.alerts(), "the last is applied")
	require.Equal(t, 1, h.count(`SELECT count(*) FROM alerts WHERE state = 'resolved' AND kind = $1`, delivery.AlertNotApplied.Name))
	require.Equal(t, 0, h.count(`SELECT count(*) FROM missed_events WHERE event_id = $1`, young))
}

func TestAConsumerThatIsMerelyBehindIsNoAlertUntilItHasPassedTheEventOrStops(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		ready, pause int // in its queue, and the seconds since it applied something
		passed       bool
		alerts       map[string]int
	}{
		"it works on what left before":                {ready: 5, pause: 60, alerts: map[string]int{}},
		"its queue is empty, and it has some in hand": {pause: 10, alerts: map[string]int{}},
		"its queue is empty, and it has stopped":      {pause: 60, alerts: map[string]int{"ledger": 1}},
		"its queue is long, and it has stopped":       {ready: 5, pause: 11 * 60, alerts: map[string]int{"ledger": 1}},
		"it has applied what left later":              {ready: 5, pause: 60, passed: true, alerts: map[string]int{"ledger": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			before, late, after := h.captured(50, true), h.captured(30, true), h.captured(15, true)
			for _, consumer := range []string{"tickets", "email"} {
				h.applied(consumer, before, late, after)
			}
			h.applied("ledger", before)
			if one.passed {
				h.applied("ledger", after)
			} else {
				h.exec(`DELETE FROM outbox_events WHERE row_id = $1`, after)
			}
			h.exec(`UPDATE consumer_inbox SET processed_at = clock_timestamp() - $1 * interval '1 second'`, one.pause)
			h.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('ledger', $1, 1, clock_timestamp())`, one.ready)
			h.look()
			require.Equal(t, one.alerts, h.alerts())
			require.Equal(t, 1, h.count(`SELECT count(*) FROM missed_events WHERE event_id = $1`, late), "it stays watched")
			// It goes on, then it stops.
			if !one.passed {
				h.exec(`UPDATE consumer_inbox SET processed_at = clock_timestamp()`)
				h.look()
				require.Empty(t, h.alerts())
				h.exec(`UPDATE consumer_inbox SET processed_at = clock_timestamp() - interval '1 hour'`)
				h.look()
				require.Equal(t, map[string]int{"ledger": 1}, h.alerts())
			}
			h.applied("ledger", late)
			h.look()
			require.Empty(t, h.alerts())
		})
	}
}

func TestWhatWaitsForAPersonOrWasAppliedByItsBusinessKeyIsNotMissed(t *testing.T) {
	t.Parallel()
	h := open(t)
	letter, byKey := h.captured(30, true), h.captured(30, true)
	for _, consumer := range []string{"tickets", "email"} {
		h.applied(consumer, letter, byKey)
	}
	h.exec(`INSERT INTO dead_letters (id, consumer, event_id, type, class, reason, attempts, headers, payload, first_failed_at, last_failed_at)
		VALUES (uuid_v7(), 'ledger', $1, 't', 'permanent', 'r', 1, '{}', '', clock_timestamp(), clock_timestamp())`, letter.String())
	h.exec(`INSERT INTO outbox_events (row_id, event_id, destination, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, past_window, published_at)
		SELECT uuid_v7(), event_id, 'ledger', aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, true, clock_timestamp()
		  FROM outbox_events WHERE row_id = $1`, byKey)
	h.look()
	require.Empty(t, h.alerts())
}

func TestAConsumersLostEventsAreSentAgainToItAloneUnderTheirOwnIds(t *testing.T) {
	t.Parallel()
	h := open(t)
	lost, whole, earlier, waits := h.captured(30, true), h.captured(30, true), h.captured(50, true), h.captured(30, false)
	h.applied("ledger", whole)
	again := delivery.Again{Consumer: "ledger", From: time.Now().Add(-40 * time.Minute), Until: time.Now(), Limit: 24 * time.Hour, Who: "operator", Why: "purged"}
	send := func(change func(*delivery.Again)) (int64, error) {
		a := again
		if change != nil {
			change(&a)
		}
		return delivery.Resend(t.Context(), h.db, a)
	}
	for _, c := range []string{"stranger", "journal", ""} {
		_, err := send(func(a *delivery.Again) { a.Consumer = c })
		require.ErrorIs(t, err, delivery.ErrNoConsumer)
	}
	_, err := send(func(a *delivery.Again) { a.From = time.Now().Add(-25 * time.Hour) })
	require.ErrorIs(t, err, delivery.ErrTooOld)
	h.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('tickets', 0, 1, clock_timestamp())`)
	_, err = send(nil)
	require.ErrorIs(t, err, outbox.ErrQueue, "the queue is gone")
	h.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('ledger', 0, 1, clock_timestamp())`)

	n, err := send(nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND event_id = $1 AND row_id <> event_id AND published_at IS NULL`, lost))
	require.Equal(t, 0, h.count(`SELECT count(*) FROM outbox_events WHERE destination IS NOT NULL AND event_id IN ($1, $2, $3)`, whole, earlier, waits))
	n, err = send(nil)
	require.NoError(t, err)
	require.Zero(t, n, "what has not left yet is not joined by another")
	h.exec(`UPDATE outbox_events SET published_at = clock_timestamp() WHERE destination = 'ledger'`)
	h.applied("ledger", lost)
	n, err = send(nil)
	require.NoError(t, err)
	require.Zero(t, n, "what is applied is not sent")
	require.Equal(t, 3, h.count(`SELECT count(*) FROM event_resends WHERE who = 'operator' AND why = 'purged'`))
}

// As a letter's replay: what has left stays sent, what waits is not sent, and the alert
// about a queue for which nothing else waits ends.
func TestWhatWasSentAgainIsTakenBackAsLongAsItWaits(t *testing.T) {
	t.Parallel()
	h := open(t)
	left, waits, letter := h.captured(30, true), h.captured(30, true), h.captured(30, true)
	h.applied("ledger", letter)
	h.replay(letter) // a letter's: its own decision takes it back
	again := delivery.Again{Consumer: "ledger", From: time.Now().Add(-40 * time.Minute), Until: time.Now(), Limit: 24 * time.Hour, Who: "operator", Why: "purged"}
	back := func(change func(*delivery.Again)) (int64, error) {
		a := again
		a.Why = "a mistake"
		if change != nil {
			change(&a)
		}
		return delivery.TakeBack(t.Context(), h.db, a)
	}
	_, err := back(nil)
	require.ErrorIs(t, err, delivery.ErrSent, "nothing was sent")
	n, err := delivery.Resend(t.Context(), h.db, again)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	h.exec(`UPDATE outbox_events SET published_at = clock_timestamp() WHERE destination = 'ledger' AND event_id = $1`, left)
	gone := func() {
		h.exec(`INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'unroutable', '/ledger', '{}')`)
	}
	gone()

	for _, other := range []func(*delivery.Again){
		func(a *delivery.Again) { a.Consumer = "tickets" },
		func(a *delivery.Again) { a.From = a.From.Add(time.Minute) },
		func(a *delivery.Again) { a.Until = a.Until.Add(-time.Minute) },
	} {
		_, err = back(other)
		require.ErrorIs(t, err, delivery.ErrSent, "no command lies within that")
	}
	_, err = back(func(a *delivery.Again) { a.Consumer = "stranger" })
	require.ErrorIs(t, err, delivery.ErrNoConsumer)
	n, err = back(nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, 0, h.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND event_id = $1`, waits))
	require.Equal(t, 1, h.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND event_id = $1`, left), "that one has left")
	require.Equal(t, 1, h.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND event_id = $1`, letter), "a letter's replay is the letter's")
	require.Equal(t, 1, h.count(`SELECT count(*) FROM event_resends WHERE action = 'take_back' AND queued = 1 AND who = 'operator' AND why = 'a mistake'`))
	openAlerts := `SELECT count(*) FROM alerts WHERE state = 'open' AND kind = 'unroutable'`
	require.Equal(t, 1, h.count(openAlerts), "the letter's replay still waits for that queue")
	_, err = back(nil)
	require.ErrorIs(t, err, delivery.ErrSent, "twice is refused")

	// It can be sent again afterwards, and taken back as the last that waits.
	h.exec(`DELETE FROM outbox_events WHERE destination = 'ledger' AND event_id = $1`, letter)
	h.exec(`UPDATE alerts SET state = 'resolved'`)
	n, err = delivery.Resend(t.Context(), h.db, again)
	require.NoError(t, err)
	require.EqualValues(t, 2, n, "what left is not applied either")
	gone()
	n, err = back(nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Equal(t, 0, h.count(openAlerts))
}

// What a look costs must not grow with what is missed times what was applied: the
// more a broker lost, the less could the alert be kept up to date, or ended.
func TestALookIsDoneAlsoWhenAThousandEventsAreMissedBesideALongInbox(t *testing.T) {
	t.Parallel()
	h := open(t)
	const missed = 1_000
	h.exec(`
INSERT INTO consumer_inbox (consumer, event_id, processed_at)
SELECT 'ledger', uuid_v7(), clock_timestamp() - interval '1 minute' FROM generate_series(1, 50000)`)
	h.exec(`
INSERT INTO outbox_events (row_id, event_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, published_at)
SELECT e.id, e.id, 'payment', gen_random_uuid(), 1, 'payment.captured', '', 0, clock_timestamp() - interval '20 minutes'
  FROM generate_series(1, $1) AS n, LATERAL (SELECT uuid_v7() AS id WHERE n > 0) AS e`, missed)
	h.exec(`INSERT INTO missed_events (consumer, row_id, event_id) SELECT 'ledger', row_id, event_id FROM outbox_events`)
	h.exec(`ANALYZE`)
	h.look()
	require.Equal(t, map[string]int{"ledger": missed}, h.alerts())
	h.exec(`INSERT INTO consumer_inbox (consumer, event_id) SELECT 'ledger', event_id FROM missed_events`)
	h.look()
	require.Empty(t, h.alerts())
}
