package chaos

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// This file holds the door of dead letters, about which the operator decides: each
// is of a message that the campaign published, so that its end is known exactly.

// What the operator decides.
const (
	replayed  = "replay"
	discarded = "discard"
	applied   = "apply"
)

var rulings = []string{replayed, discarded, applied}

// ruling is a decision about one letter: what, and how often it was asked for. An
// answer that was lost may have been a decision.
type ruling struct {
	Action   string
	Requests int
}

// letterName is how rulings and checks call the letter of an event at a consumer.
func letterName(id uuid.UUID, consumer string) string { return id.String() + " at " + consumer }

// capturedConsumers are those that get a poisonous message.
func capturedConsumers() (names []string) {
	consumers, types := owed()
	for i, consumer := range consumers {
		if types[i] == event.TypePaymentCaptured {
			names = append(names, consumer)
		}
	}
	return names
}

const (
	letterOpenSQL = `SELECT EXISTS (SELECT FROM dead_letters WHERE event_id = $1 AND consumer = $2 AND state = 'open')`

	letterIDSQL = `SELECT id FROM dead_letters WHERE event_id = $1 AND consumer = $2`

	diedAgainSQL = `SELECT EXISTS (SELECT FROM dead_letters WHERE event_id = $1 AND consumer = $2 AND state = 'open' AND replay_no > 0)`

	sentPastSQL = `SELECT EXISTS (SELECT FROM outbox_events WHERE event_id = $1::uuid AND destination = $2 AND past_window AND published_at IS NOT NULL)`
)

// letter publishes a message that no consumer can apply and decides about its
// letters.
func (d *doors) letter(ctx context.Context, b *buyer, action string) (string, error) {
	consumers := capturedConsumers()
	if action == applied {
		return d.applyOld(ctx, consumers)
	}
	id, err := d.publish(ctx, d.tap.poisonous)
	if err != nil {
		return "", err
	}
	consumer := consumers[b.no%len(consumers)]
	if err := d.rule(ctx, id, consumer, action); err != nil {
		return "", err
	}
	if action == discarded {
		return "given up", nil
	}
	return "sent again, died again, open again", d.until(ctx, "the second death of "+letterName(id, consumer), diedAgainSQL, id.String(), consumer)
}

// publish asks the broker until it takes the message.
func (d *doors) publish(ctx context.Context, send func(context.Context) (uuid.UUID, error)) (uuid.UUID, error) {
	for {
		id, err := send(ctx)
		if err == nil || ctx.Err() != nil {
			return id, err
		}
		wait(ctx, patience/20)
	}
}

// applyOld publishes a copy of an event as if it had been born before what an inbox
// remembers, and has each consumer apply it by its business key, which absorbs it.
func (d *doors) applyOld(ctx context.Context, consumers []string) (string, error) {
	id, err := d.publish(ctx, d.tap.ancient)
	if err != nil {
		return "", err
	}
	for _, consumer := range consumers {
		if err := d.rule(ctx, id, consumer, applied); err != nil {
			return "", err
		}
		if err := d.until(ctx, "the way of "+letterName(id, consumer), sentPastSQL, id.String(), consumer); err != nil {
			return "", err
		}
	}
	return "applied by its business key", nil
}

// rule waits for a letter and decides about it until that is decided.
func (d *doors) rule(ctx context.Context, id uuid.UUID, consumer, action string) error {
	if err := d.until(ctx, "the letter of "+letterName(id, consumer), letterOpenSQL, id.String(), consumer); err != nil {
		return err
	}
	var letter uuid.UUID
	if err := d.read(ctx, &letter, letterIDSQL, id.String(), consumer); err != nil {
		return err
	}
	for {
		s, times, err := d.operator(ctx, http.MethodPost, "/v1/ops/dead-letters/"+wire.PrefixLetter.ID(letter)+"/"+action,
			map[string]any{"reason": "the campaign's own message"})
		d.mu.Lock()
		ruled := d.letters[letterName(id, consumer)]
		d.letters[letterName(id, consumer)] = ruling{Action: action, Requests: ruled.Requests + times}
		d.mu.Unlock()
		if err != nil {
			return err
		}
		d.acted("asks to "+action+" a dead letter", s.String())
		switch {
		case s.status == http.StatusAccepted, s.problem == "dead-letter-closed":
			return nil
		case s.problem != "queue-unavailable":
			return fmt.Errorf("%s of %s: %s %.200s", action, letterName(id, consumer), s, s.body)
		}
		wait(ctx, patience/10)
	}
}

// innocent are letters that say nothing against their event, so that a person sends it
// again: commands that gave up because what they waited for was lost with a queue, and
// was sent again later than they were tried; and what the broker gave up, because as
// many processes were killed with it in hand as its delivery limit allows. A campaign
// that kills one each second brings that about.
const (
	innocent = `FROM dead_letters l
  WHERE state = 'open' AND (class = 'transient' OR ` + givenUp + `)`
	givenUp = `reason LIKE 'the broker gave it up%' AND EXISTS (SELECT FROM outbox_events o WHERE o.event_id::text = l.event_id)`

	innocentSQL = `SELECT id ` + innocent + ` AND (NOT $1 OR ` + givenUp + `)`
)

// replayInnocent sends them again. Without the other doors no queue is lost, and a
// command that gave up is a finding.
func (d *doors) replayInnocent(ctx context.Context) error {
	var letters []uuid.UUID
	if err := d.db.Select(ctx, &letters, innocentSQL, d.faultsOnly); err != nil {
		return ctx.Err() // the database is away; looked at again
	}
	for _, id := range letters {
		name := wire.PrefixLetter.ID(id)
		if !d.due(name) {
			continue
		}
		if err := d.post(ctx, "replays an innocent letter", "/v1/ops/dead-letters/"+name+"/replay",
			map[string]any{"reason": "nothing is wrong with its event"}); err != nil {
			return err
		}
	}
	return nil
}

func (d *doors) ruled() map[string]ruling {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]ruling, len(d.letters))
	for name, r := range d.letters {
		all[name] = r
	}
	return all
}

// LetterTruth is a dead letter at the end.
type LetterTruth struct {
	Name    string `db:"name"` // its event and its consumer
	State   string `db:"state"`
	Replays int    `db:"replay_no"`
}

const lettersTruthSQL = `SELECT event_id || ' at ' || consumer AS name, state, replay_no FROM dead_letters`

func judgePoison(ctx context.Context, db *postgres.DB, delivered []uuid.UUID, ruled map[string]ruling) (violations []string, err error) {
	var letters []LetterTruth
	if err := db.Select(ctx, &letters, lettersTruthSQL); err != nil {
		return nil, err
	}
	var names []string
	for _, id := range delivered {
		for _, consumer := range capturedConsumers() {
			names = append(names, letterName(id, consumer))
		}
	}
	return judgeLetters(names, letters, ruled), nil
}

// judgeLetters asks whether each poisonous event ended among the dead letters of
// each consumer, in the state that the operator's decision leaves it in: open
// without one and after a replay, which dies again; given up; or sent past the
// window. A broker that was away may never have got one.
func judgeLetters(names []string, letters []LetterTruth, ruled map[string]ruling) (violations []string) {
	for _, name := range names {
		i := slices.IndexFunc(letters, func(l LetterTruth) bool { return l.Name == name })
		if i < 0 {
			violations = append(violations, "poison "+name+" is no dead letter")
			continue
		}
		l, r := letters[i], ruled[name]
		want, least, most := "open", 0, 0
		switch r.Action {
		case replayed:
			least, most = 1, r.Requests
		case discarded:
			want = "discarded"
		case applied:
			want, least, most = "replayed", 1, r.Requests
		}
		if l.State != want || l.Replays < least || l.Replays > most {
			violations = append(violations, fmt.Sprintf("poison %s is %s after %d replays; decided: %q, asked for %d times", name, l.State, l.Replays, r.Action, r.Requests))
		}
	}
	return violations
}
