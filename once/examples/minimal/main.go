// Command minimal takes the patterns: a click is one parcel, one order at the courier and
// one label, however often the browser, the relay and the broker repeat it.
//
//	POST /parcels ──key──▶ parcel + event ──relay──▶ queue ──inbox──▶ courier ──▶ label
//
// Kill it anywhere and start it again. With the services that once/README.md names:
//
//	go run ./examples/minimal -postgres postgres://… -amqp amqp://…
//	curl -X POST -H 'Idempotency-Key: one-click' localhost:8080/parcels
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/outbox"
	oncepq "payonce/once/pq"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/schema"
)

// One name gives the schema, the exchange, the queues, the headers and the locks.
const name once.Name = "minimal"

const queue = "minimal.labels"

var (
	events   = outbox.Table{Schema: once.Schema(name)}
	names    = outbox.NamesOf(name)
	retries  = retry.NamesOf(name)
	schedule = retry.Schedule{time.Second, 10 * time.Second, time.Minute}
	topology = retries.Topology(schedule).With(rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: names.Exchange, Kind: "topic"}},
		Queues:    []rabbit.Queue{rabbit.WorkQueue(queue, retries.Dead)},
		Bindings:  []rabbit.Binding{{Queue: queue, Exchange: names.Exchange, Key: "parcel.packed"}},
	})
)

type app struct {
	keys    *idempotency.Keys
	courier string // where POST with an Idempotency-Key orders a pick-up once
}

// pack answers a click. Key, parcel, event and answer are one transaction.
func (a *app) pack(w http.ResponseWriter, r *http.Request) {
	key, err := idempotency.ParseKey(r.Header.Values("Idempotency-Key"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, err := a.keys.Do(r.Context(), idempotency.Request{Scope: "all", Key: key, Operation: "POST /parcels"},
		func(tx once.Tx) (idempotency.Answer, string, error) {
			parcel := uuid.Must(uuid.NewV7()).String()
			e, err := outbox.New("", parcel, "parcel", parcel, "parcel.packed", map[string]string{"parcel": parcel})
			if err == nil {
				e.AggregateVersion = 1 // the parcel's first
				_, err = tx.Exec(r.Context(), `INSERT INTO minimal.parcels (id) VALUES ($1)`, parcel)
			}
			if err == nil {
				err = events.Append(r.Context(), tx, e)
			}
			return idempotency.Answer{Status: http.StatusCreated, Body: []byte(parcel)}, parcel, err
		})
	if err != nil {
		http.Error(w, "try again with the same key", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Idempotency-Replayed", fmt.Sprint(out.Replayed))
	w.WriteHeader(out.Answer.Status)
	_, _ = w.Write(out.Answer.Body)
}

// order asks the courier under the event's id, and records what was asked for.
func (a *app) order(_ context.Context, _ once.Tx, m inbox.Message) (inbox.Call, error) {
	return func(ctx context.Context) (inbox.Record, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.courier, http.NoBody)
		if err != nil {
			return nil, retry.Permanent(err)
		}
		request.Header.Set("Idempotency-Key", m.EventID)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, retry.Ambiguous(err) // it may have arrived: the same key again
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode/100 != 2 {
			return nil, retry.Transient(errors.New("the courier: " + response.Status))
		}
		return func(ctx context.Context, tx once.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO minimal.labels (parcel) VALUES ($1)`, m.AggregateID)
			return err
		}, nil
	}, nil
}

// start makes the tables and wires what works beside the requests.
func start(ctx context.Context, db once.DB, amqp, courier string, log *slog.Logger) (*app, []func(context.Context) error, error) {
	_, schemaErr := schema.Apply(ctx, db, name)
	tablesErr := db.InTx(ctx, func(tx once.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS minimal.parcels (id text PRIMARY KEY);
			CREATE TABLE IF NOT EXISTS minimal.labels (parcel text NOT NULL)`)
		return err
	})
	reading, readingErr := rabbit.Open(rabbit.Config{URLs: []string{amqp}, Topology: topology, Log: log})
	writing, writingErr := rabbit.Open(rabbit.Config{URLs: []string{amqp}, Topology: topology, Log: log})
	keys, keysErr := idempotency.New(idempotency.Config{
		DB: db, Table: idempotency.Table{Schema: once.Schema(name)}, Secret: []byte("from the configuration"), TTL: 24 * time.Hour, Lease: 15 * time.Second,
	})
	if err := errors.Join(schemaErr, tablesErr, readingErr, writingErr, keysErr); err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, func() { reading.Close(); writing.Close() })
	a, publisher := &app{keys: keys, courier: courier}, writing.Publisher(rabbit.PublisherConfig{})
	relay, relayErr := outbox.NewRelay(outbox.Config{
		DB: db, Table: events, Names: names, Format: envelope.Of(name), Source: "/minimal", Publisher: publisher, Log: log,
	})
	labels, labelsErr := inbox.New(inbox.Config{
		Consumer: queue, Types: []string{"parcel.packed"}, Around: &inbox.Around{Types: []string{"parcel.packed"}, Intend: a.order},
		DB: db, Table: inbox.Table{Schema: once.Schema(name)}, Broker: reading, Publisher: publisher,
		Names: retries, Schedule: schedule, Log: log, Now: time.Now,
	})
	dead, deadErr := retry.NewCollector(retry.CollectorConfig{
		DB: db, Table: retry.Table{Schema: once.Schema(name)}, Broker: reading, Names: retries, Log: log, Now: time.Now,
		Applied: inbox.Table{Schema: once.Schema(name)}.Applied,
	})
	return a, []func(context.Context) error{relay.Run, labels.Run, dead.Run}, errors.Join(relayErr, labelsErr, deadErr)
}

func main() {
	postgres := flag.String("postgres", os.Getenv("ONCE_TEST_POSTGRES"), "the database")
	amqp := flag.String("amqp", os.Getenv("ONCE_TEST_AMQP"), "the broker")
	courier := flag.String("courier", "http://localhost:8080/pick-ups", "where pick-ups are ordered")
	listen := flag.String("listen", "localhost:8080", "where parcels are packed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	db, err := oncepq.Open(oncepq.Config{DSN: *postgres})
	must(err)
	a, work, err := start(ctx, db, *amqp, *courier, slog.Default())
	must(err)
	for _, each := range work {
		go func() { must(each(ctx)) }()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /parcels", a.pack)
	mux.HandleFunc("POST /pick-ups", func(_ http.ResponseWriter, r *http.Request) { // a courier, until you have one
		slog.Info("a pick-up is ordered", "key", r.Header.Get("Idempotency-Key"))
	})
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	slog.Info("ended", "listened at", *listen, "why", server.ListenAndServe())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
