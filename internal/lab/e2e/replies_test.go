package e2e

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/stage"
	"payonce/internal/platform/postgres"
	"payonce/once/oncetest/nettest"
)

// listeners are proxies that read along on the ways of a stage to some places
// and can lose a reply.
type listeners struct {
	t  *testing.T
	to []string
	mu sync.Mutex
	by map[string]*nettest.Proxy
}

func (l *listeners) between(from, to, address string) string {
	scheme := map[string]string{"postgres": "postgres", "rabbitmq": "amqp", "provider": "http"}[to]
	if !slices.Contains(l.to, to) {
		return address
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	way := from + " → " + to
	if l.by[way] == nil {
		l.by[way] = nettest.NewProxy(l.t, scheme+"://"+address)
	}
	return l.by[way].Addr()
}

// lossy is a stage on which replies get lost, and what was bought on it.
type lossy struct {
	*stage.Buyer
	t    *testing.T
	ways *listeners
	owed []stage.Checkout // captured, and so owed every effect once
}

func newLossy(t *testing.T, to ...string) *lossy {
	t.Helper()
	ways := &listeners{t: t, to: to, by: map[string]*nettest.Proxy{}}
	s := stage.Start(t, stage.Options{Between: ways.between, Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	return &lossy{Buyer: s.Buyer(), t: t, ways: ways}
}

// buys captures one order, however often it has to ask.
func (l *lossy) buys(token string) { l.pays(l.Order(), token) }

func (l *lossy) pays(c stage.Checkout, token string) {
	l.t.Helper()
	r, _ := l.MustCapture(c, c.PaymentID, token)
	require.Equal(l.t, 200, r.Status, "%s", r.Body)
	again, _ := l.MustCapture(c, c.PaymentID, token)
	require.Equal(l.t, string(r.Body), string(again.Body))
	l.owed = append(l.owed, c)
}

// behave changes the world's mood.
func (l *lossy) behave(body string) {
	l.t.Helper()
	answer, err := l.Stage.World().Send(l.t.Context(), client.Request{Method: http.MethodPost, Path: "/v1/behaviour", Raw: []byte(body)})
	require.NoError(l.t, err)
	require.Equal(l.t, 200, answer.Status, "%s", answer.Body)
}

// settles requires every effect of everything bought, once, and nothing that
// waits for a person.
func (l *lossy) settles() {
	l.t.Helper()
	for _, c := range l.owed {
		l.Settles(c)
	}
	require.Zero(l.t, l.Stage.Count(`SELECT count(*) FROM dead_letters`))
	require.Zero(l.t, l.Stage.Count(`SELECT count(*) FROM alerts WHERE state = 'open' AND kind <> 'mail_failed'`))
	require.Zero(l.t, l.Stage.Count(`SELECT count(*) FROM idempotency_keys WHERE status = 'running'`))
}

// guarded is the text of a registered statement.
func guarded(t *testing.T, name string) string {
	t.Helper()
	for _, s := range postgres.GuardedStatements() {
		if s.Name() == name {
			return s.Text()
		}
	}
	t.Fatalf("no guarded statement is called %s", name)
	return ""
}

// commits are the transactions and single statements of one purchase: whose
// they are, how to tell them, and what makes them happen.
func (l *lossy) commits() []lostCommit {
	of := func(name string) string { return guarded(l.t, name) }
	buy := func() { l.buys("tok_ok") }
	doubt := func() { l.buys("tok_timeout_after") }
	return []lostCommit{
		{"order", "api", "INSERT INTO orders", buy},
		{"capture tx1", "api", of("capture.claim"), buy},
		{"capture tx2", "api", of("capture.finalise"), buy},
		{"capture tx2 of a decline", "api", of("capture.finalise"), l.declinedFirst},
		{"park", "api", of("capture.park"), doubt},
		{"take-over by a retry", "api", of("capture.take_over"), doubt},
		{"take-over by the sweeper", "worker", of("capture.take_over"), l.doubtfulAndLeft},
		{"tx2 by the sweeper", "worker", of("capture.finalise_doubt"), l.doubtfulAndLeft},
		{"release", "api", "UPDATE payments p SET status = 'requires_capture' FROM cur", l.providerAway},
		{"another key's answer", "api", "$5, 'completed', $6", l.anotherKey},
		{"a webhook's receipt", "api", "INSERT INTO webhook_receipts", buy},
		{"the journal's attempts", "api", "INSERT INTO attempts", buy},
		{"relay's mark", "relay", "SET published_at = statement_timestamp()", buy},
		{"ledger", "worker", "INSERT INTO ledger_transactions", buy},
		{"tickets", "worker", "INSERT INTO tickets", buy},
		{"email", "worker", "INSERT INTO emails", buy},
		{"mailer's lease", "worker", "SET lease_token = $1", buy},
		{"mailer's mark of a mail sent", "worker", of("email.mark_sent"), buy},
		{"mailer's mark of a mail delayed", "worker", "next_attempt_at = clock_timestamp() + $4", func() { l.pays(l.OrderFrom("greylist.example"), "tok_ok") }},
		{"mailer's mark of a mail refused", "worker", "UPDATE emails SET status = 'failed'", l.bounces},
		{"mailer's leases given back", "worker", of("email.give_back"), l.mailServerAway},
	}
}

type lostCommit struct {
	name, whose, marker string
	do                  func()
}

// TestALostReplyOfEveryCommitLeavesEveryEffectOnce commits everything that one
// purchase commits, and each time nobody hears that it did: once as an end of
// file, once as a reset.
func TestALostReplyOfEveryCommitLeavesEveryEffectOnce(t *testing.T) {
	t.Parallel()
	l := newLossy(t, "postgres")
	for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
		for _, c := range l.commits() {
			loss := l.ways.by[c.whose+" → postgres"].Lose(nettest.Commit(c.marker), end)
			c.do()
			require.Eventually(t, loss.Happened, settle, tick, "%s, %s: the reply was not met", c.name, end)
		}
	}
	l.settles()
	const bounced = 2 // captured, and no mail arrives
	require.Equal(t, len(l.owed)+bounced, l.Stage.Count(`SELECT count(*) FROM payments WHERE status = 'captured'`))
	require.Zero(t, l.Stage.Count(`SELECT count(*) FROM emails WHERE status = 'queued' OR (status = 'sent') <> (sent_at IS NOT NULL)`))
}

func (l *lossy) declinedFirst() {
	c := l.Order()
	r, _ := l.MustCapture(c, "declined-"+c.PaymentID, "tok_declined")
	require.Equal(l.t, 402, r.Status, "%s", r.Body)
	again, _ := l.MustCapture(c, "declined-"+c.PaymentID, "tok_declined")
	require.Equal(l.t, string(r.Body), string(again.Body))
	require.Equal(l.t, 1, l.Stage.Count(`SELECT count(*) FROM outbox_events WHERE type = 'payment.declined' AND 'pay_' || replace(aggregate_id::text, '-', '') = $1`, c.PaymentID))
}

// doubtfulAndLeft is a buyer who never asks again: the sweeper finishes it.
func (l *lossy) doubtfulAndLeft() {
	c := l.Order()
	r, err := l.Capture(context.Background(), c, c.PaymentID, "tok_timeout_after")
	require.NoError(l.t, err)
	require.Equal(l.t, 202, r.Status, "%s", r.Body)
	l.Settles(c)
	l.owed = append(l.owed, c)
}

// providerAway is a capture that certainly did not happen, and its retry.
func (l *lossy) providerAway() {
	c := l.Order()
	l.Stage.Simulator.Kill()
	r, err := l.Capture(context.Background(), c, c.PaymentID, "tok_ok")
	l.Stage.Simulator.Start()
	require.NoError(l.t, err)
	require.Equal(l.t, 503, r.Status, "%s", r.Body)
	require.Equal(l.t, "no", r.Field("executed"))
	l.pays(c, "tok_ok")
}

func (l *lossy) anotherKey() {
	c := l.Order()
	l.pays(c, "tok_ok")
	r, _ := l.MustCapture(c, "another-"+c.PaymentID, "tok_ok")
	require.Equal(l.t, 200, r.Status)
	again, _ := l.MustCapture(c, "another-"+c.PaymentID, "tok_ok")
	require.Equal(l.t, string(r.Body), string(again.Body))
}

// bounces is a buyer whom no mail reaches: an alert is raised once.
func (l *lossy) bounces() {
	c := l.OrderFrom("bounce.example")
	r, _ := l.MustCapture(c, c.PaymentID, "tok_ok")
	require.Equal(l.t, 200, r.Status, "%s", r.Body)
	require.Eventually(l.t, func() bool {
		return l.Stage.Count(`SELECT count(*) FROM alerts WHERE kind = 'mail_failed' AND facts ->> 'payment_id' = replace($1, 'pay_', '')::uuid::text`, c.PaymentID) == 1
	}, settle, tick)
}

func (l *lossy) mailServerAway() {
	l.behave(`{"mail_outage": "unavailable", "for_ms": 1500}`)
	l.buys("tok_ok")
}

// TestALostAnswerOfAChargeALostConfirmAndALostAckLeaveEveryEffectOnce is the
// same for what is not a commit: the provider has charged, the broker has the
// event, the consumer is done, and the other side does not hear of it.
func TestALostAnswerOfAChargeALostConfirmAndALostAckLeaveEveryEffectOnce(t *testing.T) {
	t.Parallel()
	l := newLossy(t, "provider", "rabbitmq")
	for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
		for _, lost := range []struct {
			way   string
			reply nettest.Reply
			token string
		}{
			{"api → provider", nettest.Answer("POST /v1/charges "), "tok_ok"},
			{"api → provider", nettest.Answer("GET /v1/charges?"), "tok_timeout_after"},
			{"relay → rabbitmq", nettest.Confirm(), "tok_ok"},
			{"worker → rabbitmq", nettest.Ack(), "tok_ok"},
		} {
			loss := l.ways.by[lost.way].Lose(lost.reply, end)
			for range 2 { // the second finds the connection of the first dead
				l.buys(lost.token)
			}
			require.Eventually(t, loss.Happened, settle, tick, "%s, %s: the reply was not met", lost.way, end)
		}
	}
	l.settles()
}
