package retry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/envelope"
	"payonce/internal/platform/postgres"
)

// State is where a letter stands.
type State string

// The states of a letter.
const (
	Open      State = "open"      // waits for a person
	Replayed  State = "replayed"  // sent again; its next death re-opens it
	Discarded State = "discarded" // a person gave it up
	Applied   State = "applied"   // the inbox holds the event after all
)

// Action is what a person can do about an open letter.
type Action string

// The actions there are.
const (
	// Replay sends the event again to the one consumer that could not apply it;
	// the inbox absorbs it where it was applied meanwhile.
	Replay Action = "replay"
	// Apply does so for an event that the inbox may have forgotten. Only for a
	// consumer whose every effect has a business key.
	Apply Action = "apply"
	// Discard gives the event up.
	Discard Action = "discard"
	// TakeBack takes a replay back that has not left yet.
	TakeBack Action = "take_back"
)

// Why a letter cannot be decided as asked.
var (
	ErrNoLetter      = errors.New("there is no such letter")
	ErrClosed        = errors.New("the letter is closed")
	ErrTooOld        = errors.New("the event is too old to be replayed: the inbox will have forgotten it")
	ErrReplayable    = errors.New("the inbox still knows the event: replay it")
	ErrUnreadable    = errors.New("the message does not say which event it is; it can only be discarded")
	ErrSent          = errors.New("no replay of this letter waits: it was sent, or none was asked for")
	ErrNoBusinessKey = errors.New("this consumer's effects have no business key; applying twice would double them")
)

// Letter is a dead letter as a person sees it.
type Letter struct {
	ID          uuid.UUID     `db:"id"`
	Scope       uuid.NullUUID `db:"merchant_id"`
	Consumer    string        `db:"consumer"`
	EventID     string        `db:"event_id"`
	ReplayNo    int           `db:"replay_no"`
	Type        string        `db:"type"`
	Class       string        `db:"class"`
	Reason      string        `db:"reason"`
	Attempts    int           `db:"attempts"`
	State       State         `db:"state"`
	FirstFailed time.Time     `db:"first_failed_at"`
	LastFailed  time.Time     `db:"last_failed_at"`
	ClosedAt    sql.NullTime  `db:"closed_at"`
	RawHeaders  []byte        `db:"headers"`
	Payload     []byte        `db:"payload"`
	Now         time.Time     `db:"now"` // by the database's clock
}

// Headers are the message's headers, each as text.
func (l Letter) Headers() map[string]string {
	headers := map[string]string{}
	_ = json.Unmarshal(l.RawHeaders, &headers) // Written by headersJSON; a stranger's are none.
	return headers
}

// Correlation is the story the event belongs to; the zero id when it says none.
func (l Letter) Correlation() uuid.UUID {
	id, err := uuid.Parse(l.Headers()[envelope.HeaderCorrelation])
	if err != nil {
		return uuid.Nil
	}
	return id
}

// Born is when the event came into being, which its UUIDv7 says; ok is false for
// an id that says nothing.
func (l Letter) Born() (at time.Time, ok bool) {
	id, err := uuid.Parse(l.EventID)
	if err != nil || id.Version() != 7 {
		return time.Time{}, false
	}
	return time.Unix(id.Time().UnixTime()), true
}

// Resend is a letter's event on its way to the letter's consumer once more.
type Resend struct {
	EventID          uuid.UUID
	Consumer         string
	ReplayNo         int
	PastWindow       bool
	Scope            uuid.UUID
	Correlation      uuid.UUID
	AggregateID      uuid.UUID
	AggregateVersion int64
	Type             string
	Payload          []byte
	Traceparent      string
}

// resend reads the event back from what is kept of its message.
func (l Letter) resend() (Resend, error) {
	h := l.Headers()
	id, err := uuid.Parse(l.EventID)
	if _, ok := l.Born(); err != nil || !ok {
		return Resend{}, ErrUnreadable
	}
	aggregate, err := uuid.Parse(h[envelope.HeaderSubject])
	if err != nil || aggregate == uuid.Nil || l.Type == "" {
		return Resend{}, ErrUnreadable
	}
	version, err := strconv.ParseInt(h[envelope.HeaderAggregateVersion], 10, 64)
	if err != nil {
		return Resend{}, ErrUnreadable
	}
	return Resend{
		EventID: id, Consumer: l.Consumer, ReplayNo: l.ReplayNo + 1, Scope: l.Scope.UUID, Correlation: l.Correlation(),
		AggregateID: aggregate, AggregateVersion: version, Type: l.Type, Payload: l.Payload, Traceparent: h[envelope.HeaderTraceparent],
	}, nil
}

// DeadLetters reads dead letters and records what a person decides about them.
type DeadLetters struct {
	DB *postgres.DB
	// Resend writes the event in the decision's transaction, to be published to
	// the one consumer's queue. outbox.Append with a destination is one.
	Resend func(ctx context.Context, tx postgres.Tx, r Resend) error
	// Takes says why the consumer's queue would not take the event now, which
	// refuses the decision; nil means that none is asked. outbox.Takes is one.
	Takes func(ctx context.Context, tx postgres.Tx, consumer string) error
	// Withdraw removes what Resend wrote, and returns false when it has left.
	Withdraw func(ctx context.Context, tx postgres.Tx, r Resend) (bool, error)
	// Waiting names of some replays those that have not left yet; nil means that
	// none is known to wait.
	Waiting func(ctx context.Context, db *postgres.DB, replays []Resend) ([]Resend, error)
	// Limit is how old an event may be and still be replayed, counted from its
	// own time; within it the inbox still knows the event.
	Limit time.Duration
	// ByBusinessKey says whether every effect of a consumer has a business key.
	ByBusinessKey func(consumer string) bool
}

// Decision is who decides, and why.
type Decision struct {
	Who string
	Why string
}

// Whose limits what is read and decided to the dead letters of one scope; All is the operator, who also
// sees the letters that belong to nobody.
type Whose struct {
	Scope uuid.UUID
	All   bool
}

// Possible lists what can be done about a letter now. That its replay waits says
// [DeadLetters.Waits].
func (d DeadLetters) Possible(l Letter, waits bool) []Action {
	switch {
	case l.State == Replayed && waits:
		return []Action{TakeBack}
	case l.State != Open:
		return nil
	}
	var possible []Action
	for _, a := range []Action{Replay, Apply, Discard} {
		if d.allows(l, a) == nil {
			possible = append(possible, a)
		}
	}
	return possible
}

// allows says why an action is not possible.
func (d DeadLetters) allows(l Letter, a Action) error {
	if l.State != Open {
		return fmt.Errorf("%w: it is %s", ErrClosed, l.State)
	}
	if a == Discard {
		return nil
	}
	if _, err := l.resend(); err != nil {
		return err
	}
	born, _ := l.Born()
	old := l.Now.Sub(born) > d.Limit
	switch {
	case a == Replay && old:
		return ErrTooOld
	case a == Apply && !old:
		return ErrReplayable
	case a == Apply && !d.ByBusinessKey(l.Consumer):
		return ErrNoBusinessKey
	}
	return nil
}

const letterColumns = `id, merchant_id, consumer, event_id, replay_no, type, class, reason, attempts, headers, payload,
  state, first_failed_at, last_failed_at, closed_at, clock_timestamp() AS now`

const lockLetter = `
SELECT ` + letterColumns + ` FROM dead_letters
WHERE id = $1 AND ($2::boolean OR merchant_id = $3)
FOR UPDATE`

const closeDecided = `
UPDATE dead_letters
SET state = $2, replay_no = $3, closed_at = clock_timestamp()
WHERE id = $1 AND state = 'open'
RETURNING ` + letterColumns

const noteDecision = `
INSERT INTO dead_letter_decisions (id, letter_id, merchant_id, action, who, why, replay_no)
VALUES ($1, $2, $3, $4, $5, $6, $7)`

// Decide does what a person asked: the letter is closed, its alert with it, the
// decision is written down and, for [Replay] and [Apply], the event is on its
// way, all in one transaction. A second decision finds the letter closed.
func (d DeadLetters) Decide(ctx context.Context, w Whose, id uuid.UUID, a Action, why Decision) (Letter, error) {
	var decided Letter
	err := postgres.InTx(ctx, d.DB, func(tx postgres.Tx) error {
		var l Letter
		if err := tx.Get(ctx, &l, lockLetter, id, w.All, w.Scope); err != nil {
			return noLetter(err)
		}
		if err := d.allows(l, a); err != nil {
			return err
		}
		state, number := Discarded, l.ReplayNo
		if a != Discard {
			r, err := l.resend()
			if err != nil {
				return err
			}
			if d.Takes != nil {
				if err := d.Takes(ctx, tx, l.Consumer); err != nil {
					return err
				}
			}
			r.PastWindow = a == Apply
			state, number = Replayed, r.ReplayNo
			if err := d.Resend(ctx, tx, r); err != nil {
				return fmt.Errorf("send again: %w", err)
			}
		}
		if err := tx.Get(ctx, &decided, closeDecided, id, string(state), number); err != nil {
			return err
		}
		if err := d.note(ctx, tx, decided, a, why); err != nil {
			return err
		}
		return resolveDead(ctx, tx, l.Consumer, l.EventID)
	})
	return decided, err
}

func (d DeadLetters) note(ctx context.Context, tx postgres.Tx, l Letter, a Action, why Decision) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, noteDecision, id, l.ID, l.Scope, string(a), cleanText(why.Who), cleanText(strings.TrimSpace(why.Why)), l.ReplayNo)
	return err
}

func noLetter(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoLetter
	}
	return err
}
