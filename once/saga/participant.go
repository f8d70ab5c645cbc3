package saga

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/retry"
)

// Action is a participant's part: the do or the undo of one step, in the
// transaction that remembers it and answers. Nil is "done". [Refuse] is a
// refusal for good, before anything was written. Every other error leaves
// nothing behind and lets the command come again.
type Action func(ctx context.Context, tx once.Tx, c Command) error

// Refusal is a participant's definite no.
type Refusal struct{ Reason string }

// Error implements error.
func (r *Refusal) Error() string { return "refused: " + r.Reason }

// Refuse says no, for good. The reason is one short word for programs.
func Refuse(reason string) error { return &Refusal{Reason: reason} }

// Participant answers commands, each once however often it comes.
type Participant struct {
	Store Store
	// Actions are by the type of the command.
	Actions map[string]Action
}

// Types are the commands that are understood, sorted.
func (p Participant) Types() []string { return slices.Sorted(maps.Keys(p.Actions)) }

// The insert takes the row's lock, whether it is new or not: copies of one
// command, and an undo that races with its do, take turns here.
const enterSQL = `
INSERT INTO {saga_participations} AS p (saga_id, step, <scope>, replies) VALUES (@saga, @step, @whose, 1)
ON CONFLICT (saga_id, step) DO UPDATE SET replies = p.replies + 1
RETURNING did, did_reply, undid, undid_reply, asked, replies, decided`

type memory struct {
	Did        *string
	DidReply   []byte
	Undid      *string
	UndidReply []byte
	Asked      int
	Replies    int64
	Decided    bool
}

// recall runs a statement that returns what is remembered of a command's step.
func (s Store) recall(ctx context.Context, tx once.Tx, text string, c Command, more once.Args) (k memory, err error) {
	rows, err := s.in(text).Query(ctx, tx, once.Args{"saga": c.Saga, "step": c.Step, "whose": once.OrNull(c.Scope)}.With(more))
	_, err = once.One(rows, err, &k.Did, &k.DidReply, &k.Undid, &k.UndidReply, &k.Asked, &k.Replies, &k.Decided)
	return k, err
}

const (
	didSQL   = `UPDATE {saga_participations} SET did = @what, did_reply = @reply WHERE saga_id = @saga AND step = @step`
	undidSQL = `UPDATE {saga_participations} SET undid = @what, undid_reply = @reply WHERE saga_id = @saga AND step = @step`
)

// Handle implements [inbox.Handler]. After nil every command is answered: by its
// action, or by the reply that is remembered.
func (p Participant) Handle(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	commands := make([]Command, 0, len(batch))
	traces := map[string]string{}
	for _, m := range batch {
		c, err := p.Store.ReadCommand(m)
		if err == nil && p.Actions[c.Type] == nil {
			err = fmt.Errorf("commands of type %q are unknown here", c.Type)
		}
		if err != nil {
			return retry.Permanent(err)
		}
		commands = append(commands, c)
		traces[c.EventID] = m.Traceparent
	}
	slices.SortFunc(commands, func(a, b Command) int {
		return cmp.Or(strings.Compare(a.Saga, b.Saga), strings.Compare(a.Step, b.Step))
	})
	var replies []outbox.Event
	for _, c := range commands {
		e, err := p.answer(ctx, tx, c, traces[c.EventID])
		if err != nil {
			return err
		}
		replies = append(replies, e)
	}
	return p.Store.send(ctx, tx, replies...)
}

func (p Participant) answer(ctx context.Context, tx once.Tx, c Command, trace string) (outbox.Event, error) {
	known, err := p.Store.recall(ctx, tx, enterSQL, c, nil)
	if err != nil {
		return outbox.Event{}, err
	}
	settled, err := p.Store.settle(ctx, tx, known, c, func() error { return p.Actions[c.Type](ctx, tx, c) })
	if err != nil {
		return outbox.Event{}, err
	}
	return c.reply(settled.kind(c), settled.payload, known.Replies, trace)
}

// outcome is an answer, new or remembered.
type outcome struct {
	ok      bool
	payload []byte
}

func (o outcome) kind(c Command) string {
	if o.ok {
		return c.Type + done
	}
	return c.Type + failed
}

// verdict is what a participant does with a command, seen from its memory.
type verdict int

const (
	remembered verdict = iota // answer as before, in the same words
	refused                   // its undo was here
	nothing                   // an undo without a do that was done
	acts
	closed // a person decided
)

// verdict decides, without a database:
//
//  0. A step that a person decided about is closed, also for who asks anew: neither
//     a copy nor a replay opens it. So is an undo that was refused: the person took
//     its place. Any other undo takes back what was done, as before.
//  1. What was answered before is answered again, unless a person asks for a
//     refusal to be thought about anew.
//  2. A do whose undo was here is refused, always.
//  3. An undo without its do has nothing to take back; that it came is remembered.
//  4. Everything else acts, and what came of it is remembered.
func (k memory) verdict(c Command) verdict {
	if k.Decided && (c.Direction == Do || k.Undid != nil && *k.Undid == "failed") { // 0
		return closed
	}
	if c.Direction == Do {
		switch {
		case k.Did != nil && (*k.Did != "failed" || !c.Again || k.Undid != nil): // 1
			return remembered
		case k.Undid != nil: // 2
			return refused
		}
		return acts // 4
	}
	switch {
	case k.Undid != nil && (*k.Undid != "failed" || !c.Again): // 1
		return remembered
	case k.Did == nil || *k.Did != "done": // 3
		return nothing
	}
	return acts // 4
}

// settle answers a command and remembers the answer.
func (s Store) settle(ctx context.Context, tx once.Tx, k memory, c Command, act func() error) (outcome, error) {
	query := didSQL
	if c.Direction == Undo {
		query = undidSQL
	}
	switch k.verdict(c) {
	case refused:
		return s.remember(ctx, tx, c, query, "refused", "undone_before")
	case nothing:
		return s.remember(ctx, tx, c, query, "nothing", "")
	case acts:
		return s.acted(ctx, tx, c, query, act())
	case closed:
		payload, err := c.answer(Decided)
		return outcome{false, payload}, err // What it answered earlier stays remembered.
	case remembered:
	}
	if c.Direction == Undo {
		return outcome{*k.Undid != "failed", k.UndidReply}, nil
	}
	return outcome{*k.Did == "done", k.DidReply}, nil
}

func (s Store) acted(ctx context.Context, tx once.Tx, c Command, query string, err error) (outcome, error) {
	var no *Refusal
	switch {
	case errors.As(err, &no):
		return s.remember(ctx, tx, c, query, "failed", no.Reason)
	case err != nil:
		return outcome{}, err
	}
	return s.remember(ctx, tx, c, query, "done", "")
}

func (s Store) remember(ctx context.Context, tx once.Tx, c Command, query, what, reason string) (outcome, error) {
	payload, err := c.answer(reason)
	if err != nil {
		return outcome{}, err
	}
	_, err = s.in(query).Exec(ctx, tx, once.Args{"saga": c.Saga, "step": c.Step, "what": what, "reply": payload})
	return outcome{what == "done" || what == "nothing", payload}, err
}

func (c Command) answer(reason string) ([]byte, error) {
	return json.Marshal(Reply{Schema: schemaVersion, Saga: c.Saga, Step: c.Step, Direction: c.Direction, Reason: reason})
}

// Outside is a participant whose effect is outside the database. It serves
// steps without an undo, a pivot above all: an undo that overtakes its do could
// not be kept apart from a call that is under way.
//
// Ask makes the call under a key that is made of the command's data and never
// changes. asked says that an earlier delivery may have made it already: then
// ask what became of the key before sending it again. Nil is "done", [Refuse] a
// definite no of exactly this key. Everything else means that it is unknown, and
// the command comes again.
//
// A call ends at a time that is written down before it begins, so that a person
// who decides about the step can know when no call is under way any more.
type Outside struct {
	Store Store
	Type  string
	Ask   func(ctx context.Context, c Command, asked bool) error
	// Within bounds a call, from the transaction of its intent. 0 means 10 s.
	Within time.Duration
	Now    func() time.Time // nil means time.Now
}

const (
	defaultWithin = 10 * time.Second
	// lasts is how many times as long as its bound a call is taken to be under way:
	// what was sent at the last moment may still be worked on at the other end.
	lasts = 2
)

const askSQL = `
INSERT INTO {saga_participations} AS p (saga_id, step, <scope>, asked, asking_until)
VALUES (@saga, @step, @whose, 1, clock_timestamp() + CAST(@until AS float8) * interval '1 second')
ON CONFLICT (saga_id, step) DO UPDATE SET asked = p.asked + 1, asking_until = greatest(p.asking_until, excluded.asking_until)
RETURNING did, did_reply, undid, undid_reply, asked, replies, decided`

// Around is the participant as a consumer: intent, call, then the reply with the
// memory of it.
func (o Outside) Around() *inbox.Around {
	if o.Within == 0 {
		o.Within = defaultWithin
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	return &inbox.Around{Types: []string{o.Type}, Intend: o.intend}
}

func (o Outside) intend(ctx context.Context, tx once.Tx, m inbox.Message) (inbox.Call, error) {
	c, err := o.Store.ReadCommand(m)
	if err == nil && (c.Type != o.Type || c.Direction != Do) {
		err = fmt.Errorf("%s of %q is unknown here", c.Direction, c.Type)
	}
	if err != nil {
		return nil, retry.Permanent(err)
	}
	// Before the statement, whose own clock is later: asking_until is never too early.
	end := o.Now().Add(o.Within)
	known, err := o.Store.recall(ctx, tx, askSQL, c, once.Args{"until": (lasts * o.Within).Seconds()})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (inbox.Record, error) {
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		var refusal *Refusal
		if known.verdict(c) == acts {
			err := o.Ask(ctx, c, known.Asked > 1)
			if !errors.As(err, &refusal) && err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context, tx once.Tx) error {
			return o.Store.record(ctx, tx, c, refusal, m.Traceparent)
		}, nil
	}, nil
}

// record remembers the answer and replies. A rival that was faster has its
// answer sent again, for the first one stands.
func (s Store) record(ctx context.Context, tx once.Tx, c Command, refusal *Refusal, trace string) error {
	known, err := s.recall(ctx, tx, enterSQL, c, nil)
	if err != nil {
		return err
	}
	settled, err := s.settle(ctx, tx, known, c, func() error {
		if refusal != nil {
			return refusal
		}
		return nil
	})
	if err != nil {
		return err
	}
	e, err := c.reply(settled.kind(c), settled.payload, known.Replies, trace)
	if err != nil {
		return err
	}
	return s.send(ctx, tx, e)
}
