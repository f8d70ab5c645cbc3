package outbox

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/rabbit"
)

// BenchmarkRelay compares the relay with a bare publisher that sends the same
// messages with the same window, in turn, so that the ratio means something on
// a noisy machine.
func BenchmarkRelay(b *testing.B) {
	const events = 5000
	db, err := postgres.Open(b.Context(), postgres.Config{DSN: devtest.DSN(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{devtest.Broker(b)}, Topology: topology})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	publisher := conn.Publisher(rabbit.PublisherConfig{})
	relay, err := NewRelay(Config{DB: db, Postgres: postgres.Config{DSN: "unused"}, Publisher: publisher, Poll: 20 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	var bare, relayed time.Duration
	for b.Loop() {
		var messages []rabbit.Message
		var rows []Event
		for range events {
			e := thing("thing.happened", uuid.New(), 1)
			rows = append(rows, e)
			messages = append(messages, row{EventID: e.ID, AggregateID: e.AggregateID, AggregateVersion: 1, Type: e.Type, Payload: e.Payload}.message("/payonce"))
		}
		for batch := range slices.Chunk(rows, 500) {
			if err := postgres.InTx(b.Context(), db, func(tx postgres.Tx) error { return Append(b.Context(), tx, batch...) }); err != nil {
				b.Fatal(err)
			}
		}
		began := time.Now()
		for _, err := range publisher.PublishAll(b.Context(), messages) {
			if err != nil {
				b.Fatal(err)
			}
		}
		bare += time.Since(began)
		began = time.Now()
		if c := relay.runOnce(b.Context()); c.Marked != events {
			b.Fatalf("%+v", c)
		}
		relayed += time.Since(began)
	}
	b.ReportMetric(events*float64(b.N)/bare.Seconds(), "bare/s")
	b.ReportMetric(events*float64(b.N)/relayed.Seconds(), "relayed/s")
	b.ReportMetric(bare.Seconds()/relayed.Seconds(), "ratio")
}
