package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/migrations"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// asWorker makes this test binary the worker, so that the worker that is killed
// is the one that was compiled, with the race detector if the tests have it.
const asWorker = "PAYONCE_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A shop is what workers work on: a database, a broker, the world outside.
type shop struct {
	t         *testing.T
	dsn, amqp string
	db        *postgres.DB
	publisher *rabbit.Publisher
	world     *worldtest.World
}

// open takes the database as it is: with a schema or without.
func open(t *testing.T, dsn string) *shop {
	t.Helper()
	s := &shop{t: t, dsn: dsn, amqp: devtest.Broker(t), world: worldtest.Start(t, world.Options{})}
	var err error
	if s.db, err = postgres.Open(t.Context(), postgres.Config{DSN: s.dsn}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{s.amqp}, Topology: event.Topology(retry.Demo)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s.publisher = conn.Publisher(rabbit.PublisherConfig{})
	return s
}

// start runs a worker process until it is stopped, or the test ends.
func (s *shop) start() *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asWorker+"=1", "PAYONCE_SCHEDULE=demo", "PAYONCE_LOG_LEVEL=warn", "PAYONCE_POOL_SIZE=6",
		"PAYONCE_POSTGRES_DSN="+devstack.RoleDSN(s.dsn, postgres.ProgramRole), "PAYONCE_AMQP_URL="+s.amqp,
		"PAYONCE_PROVIDER_URL="+s.world.URL, "PAYONCE_SMTP_ADDR="+s.world.SMTPAddr)
	cmd.Stderr = s.t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

const placeSQL = `
WITH merchant AS (
  INSERT INTO merchants (id, api_key_hash) VALUES ($1::uuid, decode(replace($1::text, '-', ''), 'hex'))
)
INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items)
VALUES ($2, $1::uuid, 'test', 'paid', 'a@example.org', 8400, 'EUR', '[]')`

// captured places an order and returns the event that its payment was captured.
func (s *shop) captured() message.Message {
	s.t.Helper()
	e := event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: newID(s.t), OrderID: newID(s.t), PaymentID: newID(s.t), AttemptNo: 1,
		Amount: money.Of(8400, "EUR"), ProviderChargeID: "ch_1", Email: "a@example.org",
		Lines: []event.Line{{SKU: "concert-a", Name: "A", Quantity: 2, UnitAmountMinor: 4200}}, CapturedAt: time.Now(),
	}
	err := postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(s.t.Context(), placeSQL, e.MerchantID, e.OrderID)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.message(e)
}

func (s *shop) message(e event.PaymentCaptured) message.Message {
	s.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	return patterns.Format.Message(envelope.Envelope{
		EventID: newID(s.t).String(), Type: event.TypePaymentCaptured, Source: "/test", AggregateID: e.PaymentID.String(), AggregateVersion: 1,
		Scope: e.MerchantID.String(), Correlation: e.PaymentID.String(), Time: time.Now(), Attempt: 1, Payload: payload,
	}, patterns.Relays.Exchange, event.TypePaymentCaptured)
}

func (s *shop) publish(messages ...message.Message) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for _, err := range s.publisher.PublishAll(ctx, messages) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *shop) count(query string) int {
	s.t.Helper()
	var n int
	if err := s.db.Get(s.t.Context(), &n, query); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *shop) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("never came true: %s", what)
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

const (
	inboxRows    = `SELECT count(*) FROM consumer_inbox`
	transactions = `SELECT count(*) FROM ledger_transactions`
	ticketRows   = `SELECT count(*) FROM tickets`
	mailsSent    = `SELECT count(*) FROM emails WHERE status = 'sent'`
	ticketEvents = `SELECT count(*) FROM outbox_events WHERE type = 'tickets.issued'`
	deadLetters  = `SELECT count(*) FROM dead_letters`
	alerts       = `SELECT count(*) FROM alerts`
)

// effectsOnce says whether n payments have each effect once, and that nothing
// went to a person.
func (s *shop) effectsOnce(n int) {
	s.t.Helper()
	for query, want := range map[string]int{
		inboxRows: 3 * n, transactions: n, ticketRows: 2 * n, ticketEvents: n, mailsSent: n, deadLetters: 0, alerts: 0,
		`SELECT count(DISTINCT payment_id) FROM ledger_transactions`: n,
		`SELECT count(DISTINCT order_id) FROM tickets`:               n,
		`SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries`:  0,
	} {
		if got := s.count(query); got != want {
			s.t.Errorf("%s: want %d, got %d", query, want, got)
		}
	}
	// What the outside sees. A mail may have been handed over twice, when its
	// mailer was killed between "accepted" and "sent"; it is one message.
	messages := s.world.Messages("a@example.org")
	twice := 0
	for _, m := range messages {
		if m.Deliveries > 1 {
			twice++
		}
	}
	if len(messages) != n {
		s.t.Errorf("want %d messages in the mailbox, got %d", n, len(messages))
	}
	s.t.Logf("%d messages in the mailbox, %d of them delivered more than once", len(messages), twice)
}

func TestTwelveKilledWorkersAndTwoHundredPaymentsDeliveredTwiceLeaveEachEffectOnce(t *testing.T) {
	t.Parallel()
	s := open(t, devtest.DSN(t))
	workers := []*exec.Cmd{s.start(), s.start()}
	const rounds, each = 10, 20
	for round := range rounds {
		before := s.count(inboxRows)
		for range each {
			m := s.captured()
			s.publish(m, m)
		}
		// Somewhere in the middle of the work, wherever that is.
		some := rand.IntN(each)
		s.until("some of the round is done", func() bool { return s.count(inboxRows)-before > some })
		victim := round % len(workers)
		kill(workers[victim])
		workers[victim] = s.start()
	}
	// And once when both go at the same time.
	for i := range workers {
		kill(workers[i])
		workers[i] = s.start()
	}
	s.until("every effect is there", func() bool {
		return s.count(inboxRows) == 3*rounds*each && s.count(mailsSent) == rounds*each
	})
	s.effectsOnce(rounds * each)
}

func TestAWorkerThatStartsBeforeItsSchemaWaitsForItAndThenDrainsOnSIGTERM(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	s := open(t, dsn)
	worker := s.start()
	if _, err := postgres.Migrate(t.Context(), postgres.Config{DSN: dsn}, migrations.Files); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.publish(s.captured())
	}
	s.until("every effect is there", func() bool { return s.count(inboxRows) == 15 && s.count(mailsSent) == 5 })
	s.effectsOnce(5)
	s.until("one worker beats and has its broker", func() bool {
		return s.count(`SELECT count(*) FROM heartbeats WHERE process = 'worker' AND broker_ok`) == 1
	})

	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("want a clean end, got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("not drained within 20 s")
	}
	if n := s.count(`SELECT count(*) FROM heartbeats`); n != 0 {
		t.Errorf("a worker that ended well still has %d heartbeat rows", n)
	}
}

func TestPoisonGoesToAPersonAndTheOthersFlowOn(t *testing.T) {
	t.Parallel()
	s := open(t, devtest.DSN(t))
	s.start()
	poison := s.message(event.PaymentCaptured{Schema: event.SchemaVersion + 1, MerchantID: newID(t), PaymentID: newID(t)})
	messages := []message.Message{s.captured(), poison, s.captured()}
	s.publish(messages...)
	s.until("the others have their effects", func() bool { return s.count(mailsSent) == 2 && s.count(transactions) == 2 && s.count(ticketRows) == 4 })
	s.until("three dead letters wait", func() bool { return s.count(deadLetters) == 3 && s.count(alerts) == 3 })
	if n := s.count(`SELECT count(*) FROM dead_letters WHERE state = 'open' AND class = 'permanent' AND consumer IN ('ledger', 'tickets', 'email')`); n != 3 {
		t.Errorf("want one open permanent letter of each consumer, got %d", n)
	}
}
