// Package retrytest judges a schedule and its collector on a real broker and a
// real database: what waits comes back to whom it belongs, what dies is written
// down once, and nothing is lost on the way.
//
//	retrytest.Run(t, retrytest.Subject{Schedule: mine, Names: retries, Postgres: database, Broker: oncetest.Broker})
package retrytest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Subject is what is judged, and where.
type Subject struct {
	// Schedule should be short: the suite waits for all of it.
	Schedule retry.Schedule
	Names    retry.Names
	Table    retry.Table
	// Troubles is what is judged with them, and Open counts what is open there.
	Troubles once.Troubles
	Open     func(t testing.TB, db once.DB) int
	// Postgres gives each test a database with the letters' tables; Broker
	// gives it the address of an empty virtual host.
	Postgres func(testing.TB) once.DB
	Broker   func(testing.TB) string
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for name, judge := range map[string]func(*stage){
		"a message comes back after every delay, to its consumer only, and then dies": everyDelay,
		"a permanent error dies at the first attempt":                                 permanentAtOnce,
		"a copy and a redelivery of one message carry one event id":                   copyAndRedelivery,
		"a message that kills its consumer twenty times is written down":              killer,
		"a letter is closed when its event was applied after all":                     appliedAfterAll,
		"a late copy does not re-open a replayed letter, the replay's death does":     replayRule,
		"a decision is made once, with who and why, and closes the alert":             decidedOnce,
		"past the limit an event is not replayed but applied, where keys allow it":    pastTheLimit,
		"a letter is decided by its own scope or by the operator":                     foreignLetters,
		"an open letter closes itself when another copy was applied":                  curedByACopy,
		"a message without an event id is kept once, under a hash":                    noEventID,
		"text that no column takes is kept in a form that it takes":                   unprintable,
		"headers that no column takes keep no letter behind them waiting":             refusedHeaders,
		"a letter is sent again only where the inbox remembers its event":             notRemembered,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(newStage(t, s))
		})
	}
}

var errHiccup = errors.New("a hiccup")

func everyDelay(s *stage) {
	e := fact()
	s.collect()
	mine := s.consume("mine", s.fail(errHiccup))
	other := s.consume("other", s.fail(errHiccup))
	s.publish(s.message(e, "", "mine"))
	l := s.letter(func(l letter) bool { return l.Consumer == "mine" })
	if got, want := mine.attempts(), len(s.Schedule)+1; len(got) != want {
		s.t.Errorf("attempts %v, not %d", got, want)
	}
	for i, attempt := range mine.attempts() {
		if attempt != i+1 {
			s.t.Errorf("attempts %v", mine.attempts())
			break
		}
	}
	for i, gap := range mine.gaps() {
		if gap < s.Schedule[i] {
			s.t.Errorf("attempt %d came after %s, before its delay of %s was over", i+2, gap, s.Schedule[i])
		}
	}
	if n := len(other.attempts()); n != 0 {
		s.t.Errorf("another consumer got %d copies", n)
	}
	if l.Class != string(retry.ClassTransient) || l.Attempts != len(s.Schedule)+1 || l.State != "open" || l.Reason != errHiccup.Error() {
		s.t.Errorf("the letter says %+v", l)
	}
	if !l.FirstFailed.Before(l.LastFailed) {
		s.t.Errorf("first failed %s, last %s", l.FirstFailed, l.LastFailed)
	}
	s.alerts(1)
}

func permanentAtOnce(s *stage) {
	e := fact()
	s.collect()
	mine := s.consume("mine", s.fail(retry.Permanent(errHiccup)))
	s.publish(s.message(e, "", "mine"))
	l := s.letter(func(l letter) bool { return l.EventID == e.EventID })
	if len(mine.attempts()) != 1 || l.Class != string(retry.ClassPermanent) || l.Attempts != 1 || string(l.Payload) != string(e.Payload) {
		s.t.Errorf("after attempts %v the letter says %+v", mine.attempts(), l)
	}
}

// copyAndRedelivery crashes between the confirmed copy and the ack.
func copyAndRedelivery(s *stage) {
	e := fact()
	conn := s.connect()
	failed := make(chan error, 1)
	ctx, crash := context.WithCancel(s.t.Context())
	consumed := make(chan error, 1)
	go func() {
		consumed <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: "mine"}, func(ctx context.Context, batch []rabbit.Delivery) {
			_, err := s.router().Failed(ctx, batch[0], errHiccup)
			crash()
			failed <- err
		})
	}()
	s.publish(s.message(e, "", "mine"))
	if err := <-failed; err != nil {
		s.t.Fatal(err)
	}
	<-consumed
	mine := s.consume("mine", func(_ context.Context, d rabbit.Delivery) error { return rabbit.Ack(d) })
	s.eventually("both come", func() bool { return len(mine.deliveries()) == 2 })
	for _, d := range mine.deliveries() {
		if d.Headers[envelope.HeaderID] != e.EventID {
			s.t.Errorf("a copy of %s says %v", e.EventID, d.Headers)
		}
	}
}

// killer is taken by consumers that die with it in hand, until the queue gives
// it up.
func killer(s *stage) {
	e := fact()
	s.publish(s.message(e, "", "mine"))
	for range rabbit.DeliveryLimit + 1 {
		conn := s.connect()
		ctx, die := context.WithCancel(s.t.Context())
		if err := conn.Consume(ctx, rabbit.ConsumerConfig{Queue: "mine"}, func(context.Context, []rabbit.Delivery) { die() }); err != nil {
			s.t.Fatal(err)
		}
		conn.Close()
	}
	s.collect()
	l := s.letter(func(l letter) bool { return l.EventID == e.EventID })
	if l.Consumer != "mine" || l.Class != string(retry.ClassPoison) || l.Reason == "" {
		s.t.Errorf("the letter says %+v", l)
	}
	s.alerts(1)
}

func appliedAfterAll(s *stage) {
	e := fact()
	s.applied.Store(e.EventID, "mine")
	s.publishDead(e, "mine")
	s.collect()
	if l := s.letter(func(l letter) bool { return l.EventID == e.EventID }); l.State != "applied" || l.Closed == nil {
		s.t.Errorf("the letter says %+v", l)
	}
	s.alerts(0)
}

func replayRule(s *stage) {
	e := fact()
	c := s.collect()
	byID := func(l letter) bool { return l.EventID == e.EventID }
	state := func(want string) func(letter) bool {
		return func(l letter) bool { return byID(l) && string(l.State) == want }
	}
	s.publishDead(e, "mine")
	s.decide(s.letter(state("open")), retry.Replay, nil)

	s.publishDead(e, "mine") // The first life's copy, late.
	marker := fact()
	s.publishDead(marker, "mine") // Collected after it: then the copy was, too.
	s.letter(func(l letter) bool { return l.EventID == marker.EventID })
	if l := s.letter(byID); l.State != "replayed" {
		s.t.Errorf("a late copy changed the letter: %+v", l)
	}

	e.Replay = 1
	s.publishDead(e, "mine")
	if l := s.letter(state("open")); l.Closed != nil {
		s.t.Errorf("an open letter is closed at %s", l.Closed)
	}
	s.eventually("two letters wait for a person", func() bool { return c.Open() == 2 })
	s.alerts(2)
	s.decide(s.letter(byID), retry.Replay, nil)
	if got := s.resent(); len(got) != 2 || got[0].ReplayNo != 1 || got[1].ReplayNo != 2 || got[1].EventID != e.EventID || got[1].Consumer != "mine" {
		s.t.Errorf("sent again: %+v", got)
	}
}

func decidedOnce(s *stage) {
	s.collect()
	for _, action := range []retry.Action{retry.Replay, retry.Discard} {
		e := fact()
		s.publishDead(e, "mine")
		l := s.letter(func(l letter) bool { return l.EventID == e.EventID })
		s.alerts(1)
		s.decide(l, action, nil)
		s.alerts(0)
		for _, again := range []retry.Action{retry.Replay, retry.Apply, retry.Discard} {
			s.decide(l, again, retry.ErrClosed)
		}
		past, err := s.deadLetters().Decisions(s.t.Context(), l.ID)
		if err != nil || len(past) != 1 || past[0].Action != action || past[0].Who != "somebody" || past[0].Why != "because" {
			s.t.Errorf("written down: %+v, %v", past, err)
		}
	}
	if got := s.resent(); len(got) != 1 {
		s.t.Errorf("%d events were sent again, not 1", len(got))
	}
}

// pastTheLimit has an event whose own time is too long ago. Only its id says so:
// the letter is new.
func pastTheLimit(s *stage) {
	s.collect()
	for consumer, refusal := range map[string]error{"mine": nil, "other": retry.ErrNoBusinessKey} {
		e := fact()
		e.EventID = idOf(time.Now().Add(-limit - time.Hour)).String()
		s.publishDead(e, consumer)
		l := s.letter(func(l letter) bool { return l.EventID == e.EventID })
		s.decide(l, retry.Replay, retry.ErrTooOld)
		s.decide(l, retry.Apply, refusal)
	}
	young := fact()
	s.publishDead(young, "mine")
	s.decide(s.letter(func(l letter) bool { return l.EventID == young.EventID }), retry.Apply, retry.ErrReplayable)
	s.publish(message.Message{Exchange: s.Names.Dead, Key: "mine", Body: []byte("not of ours")})
	unreadable := s.letter(func(l letter) bool { return l.EventID[:3] == "sha" })
	s.decide(unreadable, retry.Replay, retry.ErrUnreadable)
	s.decide(unreadable, retry.Discard, nil)
	if got := s.resent(); len(got) != 1 || !got[0].PastWindow {
		s.t.Errorf("sent again: %+v", got)
	}
}

func foreignLetters(s *stage) {
	s.collect()
	e, operators := fact(), fact()
	operators.Scope = ""
	s.publishDead(e, "mine")
	s.publishDead(operators, "mine")
	ids := map[string]letter{}
	for _, one := range []envelope.Envelope{e, operators} {
		ids[one.EventID] = s.letter(func(l letter) bool { return l.EventID == one.EventID })
	}
	why := retry.Decision{Who: "somebody", Why: "because"}
	stranger, owner := retry.Whose{Scope: uuid.NewString()}, retry.Whose{Scope: e.Scope}
	for _, l := range ids {
		if _, err := s.deadLetters().Decide(s.t.Context(), stranger, l.ID, retry.Discard, why); !errors.Is(err, retry.ErrNoLetter) {
			s.t.Errorf("a stranger: %v", err)
		}
	}
	if _, err := s.deadLetters().Letter(s.t.Context(), owner, ids[operators.EventID].ID); !errors.Is(err, retry.ErrNoLetter) {
		s.t.Errorf("the operator's own letter shown to a scope: %v", err)
	}
	list, err := s.deadLetters().List(s.t.Context(), owner, retry.Open, "", 10)
	foreign, countErr := s.deadLetters().ForeignOpen(s.t.Context(), owner)
	if err != nil || countErr != nil || len(list) != 1 || list[0].ID != ids[e.EventID].ID || foreign != 1 {
		s.t.Errorf("the owner sees %+v and %d of others: %v, %v", list, foreign, err, countErr)
	}
	if _, err := s.deadLetters().Decide(s.t.Context(), owner, list[0].ID, retry.Discard, why); err != nil {
		s.t.Error(err)
	}
	s.decide(ids[operators.EventID], retry.Discard, nil)
}

func curedByACopy(s *stage) {
	e := fact()
	c := s.collect()
	s.publishDead(e, "mine")
	s.eventually("it waits for a person", func() bool { return c.Open() == 1 })
	s.applied.Store(e.EventID, "mine")
	l := s.letter(func(l letter) bool { return l.State == "applied" })
	if l.Closed == nil || c.Died()[retry.ClassPermanent] != 1 {
		s.t.Errorf("the letter says %+v, the counters %v", l, c.Died())
	}
	s.alerts(0)
}

func noEventID(s *stage) {
	s.collect()
	for range 2 {
		s.publish(message.Message{Exchange: s.Names.Dead, Key: "mine", Body: []byte("not of ours")})
	}
	s.publish(message.Message{Exchange: s.Names.Dead, Key: "other", Body: []byte("not of ours")})
	s.letter(func(l letter) bool { return l.Consumer == "mine" })
	s.letter(func(l letter) bool { return l.Consumer == "other" })
	s.eventually("the queue is empty", s.noneWaiting)
	if n := s.hashes(); n != 2 {
		s.t.Errorf("%d letters for two messages", n)
	}
}

func unprintable(s *stage) {
	e := fact()
	m := s.message(e, s.Names.Dead, "mine")
	m.Headers[s.Names.Format.Reason] = "zero \x00 and broken \xff"
	m.Headers[s.Names.Format.Class] = "perma\x00nent"
	m.Headers["any"] = fmt.Sprintf("a %c b", 0)
	m.Headers[s.Names.Format.Attempt] = int64(1) << 40
	m.Body = nil
	s.publish(m)
	s.collect()
	if l := s.letter(func(l letter) bool { return l.EventID == e.EventID }); l.State != "open" {
		s.t.Errorf("the letter says %+v", l)
	}
}

// refusedHeaders dies of what reads well and does not fit: each letter is still written down,
// and the one behind them all is.
func refusedHeaders(s *stage) {
	f := s.Names.Format
	long := make([]byte, 8192)
	_, _ = rand.Read(long)
	spoilt := []func(headers map[string]any){
		func(h map[string]any) { h[f.FirstFailed] = "2026-01-01T00:00:00+16:00" },
		func(h map[string]any) { h[f.LastFailed] = "9999-12-31T23:59:59-12:00" },
		func(h map[string]any) { h[f.FirstFailed] = "0000-01-01T00:00:00Z" },
		func(h map[string]any) { h[f.Consumer] = hex.EncodeToString(long) },
		func(h map[string]any) { h[envelope.HeaderType] = hex.EncodeToString(long) },
		func(h map[string]any) { h[f.Scope] = "no uuid" },
		func(h map[string]any) { h[envelope.HeaderID] = "sha256:0" },
	}
	for i, spoil := range spoilt {
		e := fact()
		e.Payload = fmt.Appendf(nil, `{"spoilt":%d}`, i)
		m := s.message(e, s.Names.Dead, "mine")
		spoil(m.Headers)
		s.publish(m)
	}
	behind := fact()
	s.publishDead(behind, "mine")
	s.collect()
	s.letter(func(l letter) bool { return l.EventID == behind.EventID })
	written := s.all()
	if len(written) != len(spoilt)+1 {
		s.t.Errorf("%d letters, not %d", len(written), len(spoilt)+1)
	}
	for _, l := range written {
		if l.Consumer != "mine" || l.FirstFailed.Year() < 2025 || l.FirstFailed.After(time.Now().Add(time.Hour)) {
			s.t.Errorf("%s of %.40s failed first at %s", l.EventID, l.Consumer, l.FirstFailed)
		}
	}
}

// notRemembered has an event whose id does not say when it came into being.
func notRemembered(s *stage) {
	s.collect()
	e := fact()
	e.EventID = uuid.NewString()
	s.publishDead(e, "mine")
	l := s.letter(func(l letter) bool { return l.EventID == e.EventID })
	s.decide(l, retry.Replay, retry.ErrUnreadable)
	s.decide(l, retry.Apply, retry.ErrUnreadable)
	any := s.deadLetters()
	any.AnyID = true
	if _, err := any.Decide(s.t.Context(), retry.Whose{All: true}, l.ID, retry.Replay, retry.Decision{Who: "a person", Why: "because"}); err != nil {
		s.t.Error(err)
	}
}

func fact() envelope.Envelope {
	return envelope.Envelope{
		EventID: uuid.Must(uuid.NewV7()).String(), Type: "thing.happened", Source: "/retrytest", AggregateID: uuid.NewString(), AggregateVersion: 1,
		Scope: uuid.NewString(), Time: time.Now(), Attempt: 1, Payload: []byte(`{"schema":1}`),
	}
}
