package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/program"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/message"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// badMessage is one line of testdata/bad_input/amqp.jsonl: what is wrong with an
// otherwise good payment.captured, and what becomes of it at the ledger.
type badMessage struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // dead or applied
	Class   string `json:"class"`   // of the dead letter
	Reason  string `json:"reason"`  // is part of the dead letter's

	Headers     map[string]any `json:"headers"` // null takes one away
	NoHeaders   bool           `json:"no_headers"`
	ContentType string         `json:"content_type"`
	IDDays      int            `json:"id_days"` // moves the event's birth

	Body    *string        `json:"body"`
	Bytes   []byte         `json:"body_base64"`
	Patch   map[string]any `json:"patch"` // fields of the payload; null takes one away
	Twice   string         `json:"twice"` // a field that stands there twice
	BadUTF8 bool           `json:"bad_utf8"`
	Pad     int            `json:"pad"`
}

func badMessages(t *testing.T) (all []badMessage) {
	t.Helper()
	root, err := program.Root()
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(root, "testdata", "bad_input", "amqp.jsonl"))
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	for {
		var one badMessage
		err := d.Decode(&one)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all = append(all, one)
	}
}

// on makes the message; merchant and payment are those of the good one.
func (b badMessage) on(t *testing.T, merchant, payment uuid.UUID) message.Message {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if b.IDDays != 0 {
		at := time.Now().AddDate(0, 0, b.IDDays).UnixMilli()
		for i := range 6 {
			id[i] = byte(at >> (8 * (5 - i)))
		}
	}
	m := patterns.Format.Message(envelope.Envelope{
		EventID: id.String(), Type: event.TypePaymentCaptured, Source: "/test", AggregateID: payment.String(), AggregateVersion: 1,
		Scope: merchant.String(), Correlation: payment.String(), Time: time.Now(), Attempt: 1, Payload: b.payload(t, merchant, payment),
	}, "", ledger.Name)
	for name, value := range b.Headers {
		switch v := value.(type) {
		case nil:
			delete(m.Headers, name)
		case json.Number:
			n, err := v.Int64()
			require.NoError(t, err)
			m.Headers[name] = n
		case []any:
			m.Headers[name] = []any{"a", int64(1)}
		default:
			m.Headers[name] = v
		}
	}
	if b.NoHeaders {
		m.Headers = nil
	}
	if b.ContentType != "" {
		m.ContentType = b.ContentType
	}
	return m
}

func (b badMessage) payload(t *testing.T, merchant, payment uuid.UUID) []byte {
	t.Helper()
	switch {
	case b.Body != nil:
		return []byte(*b.Body)
	case b.Bytes != nil:
		return b.Bytes
	}
	good, err := json.Marshal(event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: merchant, OrderID: uuid.New(), PaymentID: payment, AttemptNo: 1, Amount: money.Of(8400, "EUR"),
		ProviderChargeID: "ch_1", Email: "a@example.org", Lines: []event.Line{{SKU: "concert-a", Name: "A", Quantity: 2, UnitAmountMinor: 4200}}, CapturedAt: time.Now(),
	})
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(good, &fields))
	for name, value := range b.Patch {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	if b.Pad > 0 {
		fields["padding"] = strings.Repeat("x", b.Pad)
	}
	out, err := json.Marshal(fields)
	require.NoError(t, err)
	if b.Twice != "" {
		again, err := json.Marshal(fields[b.Twice])
		require.NoError(t, err)
		out = append([]byte(`{"`+b.Twice+`":`+string(again)+`,`), out[1:]...)
	}
	if b.BadUTF8 {
		out = bytes.Replace(out, []byte("a@example.org"), []byte("a\xff\xfe@example.org"), 1)
	}
	return out
}

// ledgerAt runs the ledger and the collector of dead letters on queues of their
// own.
func ledgerAt(t *testing.T) (*postgres.DB, *rabbit.Publisher, *inbox.Runner) {
	t.Helper()
	db, url := devtest.Postgres(t), devtest.Broker(t)
	open := func() *rabbit.Conn {
		conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: event.Topology(retry.Demo)})
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		return conn
	}
	reading, publisher := open(), open().Publisher(rabbit.PublisherConfig{})
	runner, err := inbox.New(patterns.Consumer(inbox.Config{
		Consumer: ledger.Name, Types: ledger.Types, Handler: patterns.Handler(ledger.Consumer{}.Handle).Inbox(), DB: db.Once(),
		Broker: reading, Publisher: publisher, Schedule: retry.Demo,
	}, nil))
	require.NoError(t, err)
	collector, err := retry.NewCollector(patterns.Collector(retry.CollectorConfig{DB: db.Once(), Broker: reading}, nil))
	require.NoError(t, err)
	go func() { _ = runner.Run(t.Context()) }()
	go func() { _ = collector.Run(t.Context()) }()
	return db, publisher, runner
}

type deadLetter struct {
	ID       string `db:"id"`
	Consumer string `db:"consumer"`
	Class    string `db:"class"`
	Reason   string `db:"reason"`
}

func TestAHundredAndTenBadMessagesEndAsDocumentedAndGoodOnesFlowOn(t *testing.T) {
	t.Parallel()
	db, publisher, runner := ledgerAt(t)
	all := badMessages(t)
	require.Greater(t, len(all), 110)
	booked := 0
	known := []string{}
	for _, b := range all {
		merchant, payment := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		require.NoError(t, publisher.Publish(t.Context(), b.on(t, merchant, payment)), b.Name)
		var fresh []deadLetter
		require.Eventually(t, func() bool {
			require.NoError(t, db.Select(t.Context(), &fresh, `SELECT id, consumer, class, reason FROM dead_letters WHERE id::text <> ALL ($1)`, pq.Array(known)))
			return len(fresh) > 0 || int(runner.Counts().Applied) > booked
		}, settle, 5*time.Millisecond, "%s: nothing becomes of it", b.Name)
		if b.Outcome == "applied" {
			booked++
			require.Empty(t, fresh, b.Name)
			require.Equal(t, 1, countOn(t, db, `SELECT count(*) FROM ledger_transactions WHERE payment_id = $1`, payment), b.Name)
			continue
		}
		require.Len(t, fresh, 1, b.Name)
		known = append(known, fresh[0].ID)
		if l := fresh[0]; l.Class != b.Class || l.Consumer != ledger.Name || !strings.Contains(l.Reason, b.Reason) {
			t.Errorf("%s: expected %s %q, got %+v", b.Name, b.Class, b.Reason, l)
		}
		require.Zero(t, countOn(t, db, `SELECT count(*) FROM ledger_transactions WHERE payment_id = $1`, payment), b.Name)
	}
	// None took another along, and the consumer still works.
	good := badMessage{Name: "a good one"}
	payment := uuid.Must(uuid.NewV7())
	require.NoError(t, publisher.Publish(t.Context(), good.on(t, uuid.Must(uuid.NewV7()), payment)))
	require.Eventually(t, func() bool {
		return countOn(t, db, `SELECT count(*) FROM ledger_transactions WHERE payment_id = $1`, payment) == 1
	}, settle, tick)
	require.Equal(t, booked+1, countOn(t, db, `SELECT count(*) FROM ledger_transactions`))
	require.Zero(t, runner.Counts().Retried, "no retry cures bad bytes")
}

func countOn(t *testing.T, db *postgres.DB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, query, args...))
	return n
}
