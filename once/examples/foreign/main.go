// Command foreign takes the patterns into a domain of its own: a member of a club is
// activated, whatever is repeated on the way. The door's company, which is outside, opens
// one account for them; then they get one invoice and one letter.
//
//	POST /members/{id} ──key──▶ key, member, attempt │ commit │ door's company │ commit:
//	                            active, event, answer ──relay──▶ invoices, letters
//
// Kill it anywhere and start it again; the test beside this file does, at each commit,
// publish and acknowledgement. On pgx, with the services that once/README.md names:
//
//	go run ./examples/foreign -postgres postgres://… -amqp amqp://… -door http://…
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"payonce/once"
	"payonce/once/call"
	"payonce/once/envelope"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/outbox"
	oncepgx "payonce/once/pgx"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/schema"
)

const (
	name              once.Name = "club"
	activated                   = "member.activated"
	invoices, letters           = "club.invoices", "club.letters"
	fee                         = 4900
	patience                    = 3 * time.Second // of a twin
)

var (
	events   = outbox.Table{Schema: once.Schema(name)}
	names    = outbox.NamesOf(name)
	retries  = retry.NamesOf(name)
	schedule = retry.Schedule{time.Second, 10 * time.Second, time.Minute}
	topology = retries.Topology(schedule).With(rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: names.Exchange, Kind: "topic"}},
		Queues:    []rabbit.Queue{rabbit.WorkQueue(invoices, retries.Dead), rabbit.WorkQueue(letters, retries.Dead)},
		Bindings: []rabbit.Binding{
			{Queue: invoices, Exchange: names.Exchange, Key: activated}, {Queue: letters, Exchange: names.Exchange, Key: activated},
		},
	})
)

const tables = `
CREATE TABLE IF NOT EXISTS club.members (id text PRIMARY KEY, status text NOT NULL DEFAULT 'waiting', account text);
CREATE TABLE IF NOT EXISTS club.invoices (member text NOT NULL, amount bigint NOT NULL);
CREATE TABLE IF NOT EXISTS club.letters (member text NOT NULL, text text NOT NULL)`

type club struct {
	db    once.DB
	keys  *idempotency.Keys
	books call.Attempts
	calls *call.Runner[call.Record, call.Outcome]
	door  string // POST and GET /accounts/{key}: one account for a key
	waker *outbox.Waker
	twins idempotency.Flights // requests that wait for the answer of one under way
}

// activate answers one key once. Beneath it lies the member's id, a business key: under
// another key the same member is not activated a second time.
func (c *club) activate(w http.ResponseWriter, r *http.Request) {
	key, err := idempotency.ParseKey(r.Header.Values("Idempotency-Key"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	member := r.PathValue("id")
	if !call.Possible(member) {
		http.Error(w, "there can be no such member", http.StatusNotFound)
		return
	}
	answer, err := c.once(r.Context(), member, idempotency.Request{
		Scope: "all", Key: key, Operation: "POST /members/{id}", Fields: []idempotency.Field{{Pointer: "/id", Value: member}},
	})
	var other *idempotency.MismatchError
	switch {
	case errors.As(err, &other):
		http.Error(w, "the key was used for another member", http.StatusUnprocessableEntity)
	case errors.Is(err, idempotency.ErrInProgress):
		http.Error(w, "it is under way: ask again with the same key", http.StatusConflict)
	case err != nil:
		http.Error(w, "ask again with the same key", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body)
	}
}

func (c *club) once(ctx context.Context, member string, r idempotency.Request) (idempotency.Answer, error) {
	print := r.Fingerprint(c.keys.Secret)
	if answer, known, err := c.known(ctx, member, r, print); known || err != nil {
		return answer, err
	}
	var attempt call.Record
	err := c.db.InTx(ctx, func(tx once.Tx) (err error) {
		token := uuid.New()
		if err := c.keys.Claim(ctx, tx, r, print, token); err != nil {
			return err
		}
		fresh, err := tx.Exec(ctx, `INSERT INTO club.members (id) VALUES ($1) ON CONFLICT DO NOTHING`, member)
		if err != nil {
			return err
		}
		if fresh == 0 {
			return errMember // rolls the key back
		}
		if attempt, err = c.books.Begin(ctx, tx, call.Intent{Subject: member, Lease: c.calls.Lease()}); err != nil {
			return err
		}
		return c.keys.Bind(ctx, tx, r, token, member, attempt.No)
	})
	switch {
	case errors.Is(err, errMember):
		out, err := c.keys.Store(ctx, r, idempotency.Answer{Status: http.StatusOK, Body: []byte("a member already")}, member)
		return out.Answer, err
	case err == nil:
		_, err = c.calls.Run(ctx, attempt) // what does not come to its end here is swept
	}
	if err != nil && !errors.Is(err, idempotency.ErrTaken) && !errors.Is(err, call.ErrHeld) {
		return idempotency.Answer{}, err
	}
	answer, known, err := c.known(ctx, member, r, print)
	if err == nil && !known {
		err = idempotency.ErrInProgress
	}
	return answer, err
}

var errMember = errors.New("a member already, or about to be one")

// known answers a request whose key there is, and finishes what another process has begun.
func (c *club) known(ctx context.Context, member string, r idempotency.Request, print idempotency.Fingerprint) (answer idempotency.Answer, known bool, err error) {
	for look := range 3 {
		row, found, err := c.keys.Lookup(ctx, r.Scope, r.Key)
		if err != nil || !found {
			return answer, false, err
		}
		if err := row.Match(r, print); err != nil {
			return answer, true, err
		}
		if row.Completed() {
			answer, err = row.Answer()
			return answer, true, err
		}
		id := call.ID{Subject: member, No: row.SubjectNo}
		if look == 0 { // fifty clicks, one answer
			c.wait(ctx, id)
		} else if _, err := c.calls.Recover(ctx, id); err != nil {
			return answer, true, err
		}
	}
	return answer, true, idempotency.ErrInProgress
}

// wait returns when no request or sweep is at the attempt any more, or after a while.
func (c *club) wait(ctx context.Context, id call.ID) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = c.twins.Wait(ctx, flight(id), func(ctx context.Context) (bool, error) {
		r, err := c.books.Read(ctx, id)
		return !r.Status.Open() || !r.Leased, err
	})
}

func flight(id call.ID) string { return fmt.Sprintf("%s:%d", id.Subject, id.No) }

// ended writes what follows from the door's answer, in the transaction that stores it.
func (c *club) ended(ctx context.Context, tx once.Tx, r call.Record, o call.Outcome) error {
	answer := idempotency.Answer{Status: http.StatusCreated, Body: []byte("door account " + o.Ref)}
	if o.Status != call.Done {
		answer = idempotency.Answer{Status: http.StatusUnprocessableEntity, Body: []byte("the door's company refuses: " + o.Reason)}
	}
	if err := c.keys.Complete(ctx, tx, r.Subject, r.No, answer, r.Subject); err != nil {
		return err
	}
	if o.Status != call.Done {
		_, err := tx.Exec(ctx, `UPDATE club.members SET status = 'refused' WHERE id = $1`, r.Subject)
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE club.members SET status = 'active', account = $2 WHERE id = $1`, r.Subject, o.Ref); err != nil {
		return err
	}
	e, err := outbox.New("", r.Subject, "member", r.Subject, activated, map[string]string{"member": r.Subject, "account": o.Ref})
	if err != nil {
		return err
	}
	e.AggregateVersion = 1 // a member has one event; of more, each change of the row counts one on
	return events.Append(ctx, tx, e)
}

// released takes back what waited for a call that certainly did nothing.
func (c *club) released(ctx context.Context, tx once.Tx, r call.Record, _ error) error {
	if _, err := tx.Exec(ctx, `DELETE FROM club.members WHERE id = $1 AND status = 'waiting'`, r.Subject); err != nil {
		return err
	}
	return c.keys.Release(ctx, tx, r.Subject, r.No)
}

// open has the door's company open an account, and ask finds out whether it has.
func (c *club) open(ctx context.Context, r call.Record) (call.Outcome, error) {
	o, known, err := c.ask(ctx, r, http.MethodPost)
	if err == nil && !known {
		err = errors.New("the door's company answers 404 to a POST")
	}
	return o, err
}

func (c *club) ask(ctx context.Context, r call.Record, method string) (o call.Outcome, known bool, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.door+"/accounts/"+r.Key, nil)
	if err != nil {
		return o, false, errors.Join(call.ErrNotSent, err)
	}
	response, err := http.DefaultClient.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return o, false, errors.Join(call.ErrNotSent, err)
	}
	if err != nil {
		return o, false, err // it may have arrived
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusNotFound:
		return o, false, nil
	case http.StatusOK:
		var account struct{ Number string }
		err = json.NewDecoder(response.Body).Decode(&account)
		return call.Outcome{Status: call.Done, Ref: account.Number}, true, err
	}
	return o, false, errors.New("the door's company answers " + response.Status)
}

// writing is a consumer whose effect is one row for each event.
func writing(ctx context.Context, tx once.Tx, batch []inbox.Message, query string, value any) error {
	for _, m := range batch {
		if _, err := tx.Exec(ctx, query, m.AggregateID, value); err != nil {
			return err
		}
	}
	return nil
}

func invoice(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	return writing(ctx, tx, batch, `INSERT INTO club.invoices VALUES ($1, $2)`, fee)
}

func letter(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	return writing(ctx, tx, batch, `INSERT INTO club.letters VALUES ($1, $2)`, "Welcome. Your door opens.")
}

// start makes the tables and wires what works beside the requests.
func start(ctx context.Context, db once.DB, amqp, door string, log *slog.Logger) (*club, []func(context.Context) error, error) {
	_, schemaErr := schema.Apply(ctx, db, name)
	tablesErr := db.InTx(ctx, func(tx once.Tx) error {
		_, err := tx.Exec(ctx, tables)
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
	c := &club{db: db, keys: keys, door: door, waker: outbox.NewWaker(db, names.Channel, log)}
	c.books = call.Attempts{DB: db, Schema: once.Schema(name), Kind: "account", Ended: c.ended, Released: c.released}
	var callsErr error
	c.calls, callsErr = call.New(call.Config[call.Record, call.Outcome]{
		Store: c.books, Lease: 5 * time.Second, Deadline: 2 * time.Second, Commit: 2 * time.Second, Log: log,
		Outside: call.Outside[call.Record, call.Outcome]{Send: c.open, Ask: func(ctx context.Context, r call.Record) (call.Outcome, bool, error) {
			return c.ask(ctx, r, http.MethodGet)
		}},
		Landed: func(_ context.Context, r call.Record) {
			c.twins.Landed(flight(r.ID))
			c.waker.Wake()
		},
	})
	publisher := writing.Publisher(rabbit.PublisherConfig{})
	relay, relayErr := outbox.NewRelay(outbox.Config{
		DB: db, Table: events, Names: names, Format: envelope.Of(name), Source: "/club", Publisher: publisher, Log: log,
	})
	dead, deadErr := retry.NewCollector(retry.CollectorConfig{
		DB: db, Table: retry.Table{Schema: once.Schema(name)}, Broker: reading, Names: retries, Log: log, Now: time.Now,
		Applied: inbox.Table{Schema: once.Schema(name)}.Applied,
	})
	work := []func(context.Context) error{relay.Run, dead.Run, c.waker.Run, func(ctx context.Context) error { return c.calls.Sweep(ctx, call.Sweep{Every: time.Second}) }}
	errs := []error{callsErr, relayErr, deadErr}
	for queue, handler := range map[string]inbox.Handler{invoices: invoice, letters: letter} {
		consumer, err := inbox.New(inbox.Config{
			Consumer: queue, Types: []string{activated}, Handler: handler, DB: db, Table: inbox.Table{Schema: once.Schema(name)},
			Broker: reading, Publisher: publisher, Names: retries, Schedule: schedule, Log: log, Now: time.Now,
		})
		if errs = append(errs, err); err == nil {
			work = append(work, consumer.Run)
		}
	}
	return c, work, errors.Join(errs...)
}

func main() {
	postgres := flag.String("postgres", os.Getenv("ONCE_TEST_POSTGRES"), "the database")
	amqp := flag.String("amqp", os.Getenv("ONCE_TEST_AMQP"), "the broker")
	door := flag.String("door", "http://localhost:8081", "the door's company")
	listen := flag.String("listen", "localhost:8080", "where members are activated")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sessions, err := oncepgx.Configure(*postgres)
	must(err)
	pool, err := pgxpool.NewWithConfig(ctx, sessions)
	must(err)
	defer pool.Close()
	c, work, err := start(ctx, oncepgx.New(pool), *amqp, *door, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	must(err)
	for _, each := range work {
		go func() { must(each(ctx)) }()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /members/{id}", c.activate)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	slog.Info("ended", "listened at", *listen, "why", server.ListenAndServe())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
