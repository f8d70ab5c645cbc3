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
	"unicode/utf8"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/trouble"
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

// Letter is a dead letter.
type Letter struct {
	ID    string
	Scope string // whose it is; "" is the operator's own
	// Consumer is the queue whose message it was. EventID names the event, or is a hash
	// of consumer and body where the message names none; see [Letter.Event].
	Consumer    string
	EventID     string
	ReplayNo    int
	Type        string
	Class       string
	Reason      string
	Attempts    int
	State       State
	FirstFailed time.Time
	LastFailed  time.Time
	ClosedAt    sql.NullTime
	RawHeaders  []byte
	Payload     []byte
	Now         time.Time // by the database's clock

	format envelope.Format
}

const hashed = "sha256:"

// Event is the id of the letter's event, "" when the message named none.
func (l Letter) Event() string {
	if strings.HasPrefix(l.EventID, hashed) {
		return ""
	}
	return l.EventID
}

// Headers are the message's headers, each as text.
func (l Letter) Headers() map[string]string {
	headers := map[string]string{}
	_ = json.Unmarshal(l.RawHeaders, &headers) // Written by headersJSON; a stranger's are none.
	return headers
}

// Correlation is the story the event belongs to; "" when it says none.
func (l Letter) Correlation() string { return l.id(l.format.Correlation) }

// id is the id that a header names, "" when it names none that the format takes, or one
// of which not each byte was kept.
func (l Letter) id(header string) string {
	text := l.Headers()[header]
	if strings.ContainsRune(text, utf8.RuneError) {
		return ""
	}
	id, _ := l.format.Read(text)
	return id
}

// Born is when the event came into being: its id says so when it is a UUIDv7, and
// otherwise its time. ok is false when neither can be read.
func (l Letter) Born() (at time.Time, ok bool) {
	if at, ok = l.dated(); ok {
		return at, true
	}
	at, err := envelope.ReadTime(l.Headers()[envelope.HeaderTime])
	return at, err == nil
}

func (l Letter) dated() (at time.Time, ok bool) {
	id, err := uuid.Parse(l.EventID)
	if err != nil || id.Version() != 7 {
		return time.Time{}, false
	}
	at = time.Unix(id.Time().UnixTime())
	return at, at.Year() <= 9999
}

// Resend is a letter's event on its way to the letter's consumer once more.
type Resend struct {
	EventID          string
	Consumer         string
	ReplayNo         int
	PastWindow       bool
	Scope            string
	Correlation      string
	AggregateID      string
	AggregateVersion int64
	Type             string
	Payload          []byte
	Traceparent      string
}

// resend reads the event back from what is kept of its message.
func (l Letter) resend() (Resend, error) {
	h := l.Headers()
	aggregate := l.id(envelope.HeaderSubject)
	_, born := l.Born()
	version, err := strconv.ParseInt(h[l.format.AggregateVersion], 10, 64)
	if l.Event() == "" || !born || aggregate == "" || l.Type == "" || err != nil {
		return Resend{}, ErrUnreadable
	}
	return Resend{
		EventID: l.EventID, Consumer: l.Consumer, ReplayNo: l.ReplayNo + 1, Scope: l.Scope, Correlation: l.Correlation(),
		AggregateID: aggregate, AggregateVersion: version, Type: l.Type, Payload: l.Payload, Traceparent: h[envelope.HeaderTraceparent],
	}, nil
}

// DeadLetters reads dead letters and records what a person decides about them.
type DeadLetters struct {
	DB     once.DB
	Table  Table
	Format envelope.Format
	// AnyID says that the inbox remembers events of any id, as inbox.Table's Any does.
	// Otherwise one whose id is no UUIDv7 can only be discarded.
	AnyID    bool
	Troubles once.Troubles // nil means the table of package payonce/once/trouble, in the letters' schema
	// Resend writes the event in the decision's transaction, to be published to
	// the one consumer's queue. outbox.Append with a destination is one.
	Resend func(ctx context.Context, tx once.Tx, r Resend) error
	// Takes says why the consumer's queue would not take the event now, which
	// refuses the decision; nil means that none is asked. outbox.Takes is one.
	Takes func(ctx context.Context, tx once.Tx, consumer string) error
	// Withdraw removes what Resend wrote, and returns false when it has left.
	Withdraw func(ctx context.Context, tx once.Tx, r Resend) (bool, error)
	// Waiting names of some replays those that have not left yet; nil means that
	// none is known to wait.
	Waiting func(ctx context.Context, db once.DB, replays []Resend) ([]Resend, error)
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
// sees the letters that have no scope.
type Whose struct {
	Scope string
	All   bool
}

func (w Whose) args() once.Args { return once.Args{"all": w.All, "whose": once.OrNull(w.Scope)} }

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
	if _, dated := l.dated(); !dated && !d.AnyID {
		return ErrUnreadable
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

const lockLetter = `
SELECT ` + letterColumns + ` FROM {dead_letters}
WHERE id = @letter AND (@all OR <scope> = @whose)
FOR UPDATE`

const closeDecided = `
UPDATE {dead_letters}
SET state = @state, replay_no = @replay, closed_at = clock_timestamp()
WHERE id = @letter AND state = 'open'
RETURNING ` + letterColumns

const noteDecision = `
INSERT INTO {dead_letter_decisions} (id, letter_id, <scope>, action, who, why, replay_no)
VALUES (@id, @letter, @whose, @action, @who, @why, @replay)`

// lock reads a letter that nothing changes until tx ends.
func (d DeadLetters) lock(ctx context.Context, tx once.Tx, w Whose, id string) (Letter, error) {
	return one(letters(d.Format)(d.Table.in(lockLetter).Query(ctx, tx, w.args().With(once.Args{"letter": id}))))
}

// Decide does what a person asked: the letter is closed, its alert with it, the
// decision is written down and, for [Replay] and [Apply], the event is on its
// way, all in one transaction. A second decision finds the letter closed.
func (d DeadLetters) Decide(ctx context.Context, w Whose, id string, a Action, why Decision) (Letter, error) {
	var decided Letter
	err := d.DB.InTx(ctx, func(tx once.Tx) error {
		l, err := d.lock(ctx, tx, w, id)
		if err != nil {
			return err
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
		decided, err = one(letters(d.Format)(d.Table.in(closeDecided).Query(ctx, tx, once.Args{
			"letter": id, "state": string(state), "replay": number,
		})))
		if err != nil {
			return err
		}
		if err := d.note(ctx, tx, decided, a, why); err != nil {
			return err
		}
		return d.troubles().End(ctx, tx, l.subject(), TroubleDead)
	})
	return decided, err
}

func (d DeadLetters) troubles() once.Troubles {
	if d.Troubles == nil {
		return trouble.Table{Schema: d.Table.Schema}
	}
	return d.Troubles
}

func (d DeadLetters) note(ctx context.Context, tx once.Tx, l Letter, a Action, why Decision) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = d.Table.in(noteDecision).Exec(ctx, tx, once.Args{
		"id": id.String(), "letter": l.ID, "whose": once.OrNull(l.Scope), "action": string(a),
		"who": cleanText(why.Who), "why": cleanText(strings.TrimSpace(why.Why)), "replay": l.ReplayNo,
	})
	return err
}
