package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/trouble"
)

// Attempts is the [Store] of payonce/once/schema, for one kind of effect.
type Attempts struct {
	DB     once.DB
	Schema once.Schema
	// Kind says which effect it is, such as "pick-up". An attempt's key is kind:subject:no.
	Kind string
	// Ended writes what follows from an outcome, in the transaction that stores it: the
	// program's state, an event, an answer. After its error nothing is stored although the
	// effect is there: the attempt is asked about again, by the schedule, and becomes
	// trouble when it is [Config.Overdue]. So what a later statement may refuse (an id that
	// is too long for an event, a row that must exist) is checked before [Attempts.Begin].
	// Nil for nothing.
	Ended func(ctx context.Context, tx once.Tx, r Record, o Outcome) error
	// Released does the same when an attempt ends without an outcome ([ErrNotSent],
	// [ErrRefused]): it takes back what waits for one, such as the program's state and a
	// client's key ([payonce/once/idempotency.Keys.Release]). With nil both stay as they
	// are, and for the client the request is under way until someone looks.
	Released func(ctx context.Context, tx once.Tx, r Record, why error) error
	// Troubles is where trouble is raised; nil means the table of package
	// payonce/once/trouble, in the schema.
	Troubles once.Troubles
}

// Record is an attempt in [Attempts].
type Record struct {
	Attempt
	Scope   string // whose it is; "" where the program has none
	Request []byte // what is asked for
	Ref     string // the outside's own name of the effect, as soon as it is known
	Reason  string // why it was refused, abandoned or released
	// Contradicted says that the outside has said otherwise than its outcome; see [Attempts.Decide].
	Contradicted bool
}

// Call implements [Row].
func (r Record) Call() Attempt { return r.Attempt }

// Outcome is what the outside definitely said.
type Outcome struct {
	Status Status // Done, Refused or Abandoned
	Ref    string
	Reason string
}

// Intent is an effect that is wanted.
type Intent struct {
	// Subject is what the effect is for: 1 to 200 bytes of text. The outside sees it, in
	// the key.
	Subject string
	Scope   string
	Request []byte // is stored as it is, in the clear; nil for nothing
	// Lease is how long the attempt is the caller's, who calls [Runner.Run] after the
	// commit. 0 leaves the call to [Runner.Sweep].
	Lease time.Duration
}

// ErrAttempted says that an attempt for the subject is under way, or has done it, or that one
// is contradicted and a person has to look first. The caller rolls back: what it changed
// would stand without the effect that it wants.
var ErrAttempted = errors.New("call: there is an attempt for it")

// ErrSubject says that no attempt can be for such a subject; see [Intent.Subject].
var ErrSubject = errors.New("call: a subject has 1 to 200 bytes of text that Postgres takes")

// Kinds of trouble; the subject is the attempt's key.
var (
	TroubleInDoubt = once.TroubleKind{
		Name: "call_in_doubt", Means: "the outcome of a call has not been stored for a day: it is unknown, or what follows from it fails",
		Remedy: "the reason is in the facts: ask the outside about the key and decide, or mend the program", Ends: "the attempt's outcome, or a person's decision",
	}
	TroubleWrong = once.TroubleKind{
		Name: "call_refused", Means: "the outside takes our request for wrong; it did nothing",
		Remedy: "its reason is in the facts: a setting, or a bug of ours",
	}
	TroubleContradiction = once.TroubleKind{
		Name: "call_contradiction", Means: "the outside says otherwise than the stored outcome, which stays",
		Remedy: "compare the attempt with what the outside has under the key, and decide", Ends: "a person's decision",
	}
)

var _ Store[Record, Outcome] = Attempts{}

// maxSubject leaves room in the 255 bytes that an event's ids and most outsides' keys have.
const maxSubject = 200

// Possible says whether an attempt can be for a subject: ask before [Attempts.Begin] where it
// comes from a client.
func Possible(subject string) bool {
	return subject != "" && len(subject) <= maxSubject && envelope.Plain(subject)
}

const (
	columns = `subject, no, key, status, fence, asked, coalesce(lease_until > clock_timestamp(), false),
       CAST(extract(epoch FROM clock_timestamp() - begun_at) AS float8), scope, request, ref, reason, contradicted_at IS NOT NULL`
	which = `kind = @kind AND subject = @subject AND no = @no`
	// mine finds the attempt while it is open and its fence is the holder's.
	mine = which + ` AND fence = @fence AND ended_at IS NULL`

	// The key is made of what it is for, not drawn: an attempt that a restored database
	// has forgotten is the same one to the outside.
	beginSQL = `
INSERT INTO {calls} (kind, subject, no, key, scope, request, status, holder, lease_until, next_ask_at)
SELECT @kind, @subject, coalesce(max(no), 0) + 1, CAST(@kind AS text) || ':' || CAST(@subject AS text) || ':' || coalesce(max(no), 0) + 1,
       @scope, @request, 'calling', @holder,
       clock_timestamp() + CAST(@lease AS float8) * interval '1 second', clock_timestamp() + CAST(@lease AS float8) * interval '1 second'
  FROM {calls}
 WHERE kind = @kind AND subject = @subject
HAVING count(contradicted_at) = 0
ON CONFLICT DO NOTHING
RETURNING ` + columns

	readSQL = `SELECT ` + columns + ` FROM {calls} WHERE ` + which

	// A second run finds its own holder and changes nothing. Who asks early does not use
	// up the schedule's questions.
	takeOverSQL = `
UPDATE {calls}
   SET fence = fence + CASE WHEN holder = @holder THEN 0 ELSE 1 END,
       asked = asked + CASE WHEN holder = @holder OR next_ask_at > clock_timestamp() THEN 0 ELSE 1 END,
       lease_until = CASE WHEN holder = @holder THEN lease_until ELSE clock_timestamp() + CAST(@lease AS float8) * interval '1 second' END,
       next_ask_at = CASE WHEN holder = @holder THEN next_ask_at ELSE clock_timestamp() + CAST(@lease AS float8) * interval '1 second' END,
       holder = @holder
 WHERE ` + which + ` AND ended_at IS NULL
   AND (lease_until IS NULL OR lease_until <= clock_timestamp() OR holder = @holder)
RETURNING ` + columns

	endSQL = `
UPDATE {calls}
   SET status = @status, ref = coalesce(@ref, ref), reason = @reason, lease_until = NULL, next_ask_at = NULL, ended_at = clock_timestamp()
 WHERE ` + mine + `
RETURNING ` + columns

	// A tenth of chance keeps those that fell into doubt together from asking together.
	parkSQL = `
UPDATE {calls}
   SET status = 'in_doubt', lease_until = NULL, next_ask_at = clock_timestamp() + CAST(@next AS float8) * (1 + 0.1 * random()) * interval '1 second'
 WHERE ` + mine + ` AND lease_until IS NOT NULL`

	namedSQL      = `UPDATE {calls} SET ref = @ref WHERE ` + mine
	contradictSQL = `UPDATE {calls} SET contradicted_at = clock_timestamp() WHERE ` + which + ` AND contradicted_at IS NULL`

	dueSQL = `
SELECT subject, no FROM {calls}
 WHERE kind = @kind AND ended_at IS NULL AND next_ask_at <= clock_timestamp()
   AND (lease_until IS NULL OR lease_until <= clock_timestamp())
 ORDER BY next_ask_at LIMIT @most`
)

// Begin opens the next attempt for a subject in the caller's transaction: it is there with
// the change that wants the effect, or neither is. Call [Runner.Run] after the commit;
// when the answer to that commit is lost, leave the attempt to the sweep.
func (b Attempts) Begin(ctx context.Context, tx once.Tx, w Intent) (Record, error) {
	switch {
	case b.Kind == "":
		return Record{}, errors.New("call: Attempts need a Kind")
	case !Possible(w.Subject):
		return Record{}, fmt.Errorf("%w: %.210q", ErrSubject, w.Subject)
	case w.Request == nil:
		w.Request = []byte{}
	}
	rows, err := b.in(beginSQL).Query(ctx, tx, once.Args{
		"kind": b.Kind, "subject": w.Subject, "scope": once.OrNull(w.Scope), "request": w.Request,
		"holder": uuid.NewString(), "lease": w.Lease.Seconds(),
	})
	r, begun, err := record(rows, err)
	if err == nil && !begun {
		err = ErrAttempted
	}
	return r, err
}

// Named stores the outside's own name of the effect before the outcome is known, for an
// [Outside.Send] that learns it early.
func (b Attempts) Named(ctx context.Context, r Record, ref string) error {
	return b.DB.InTx(ctx, func(tx once.Tx) error {
		_, err := b.in(namedSQL).Exec(ctx, tx, b.held(r, once.Args{"ref": ref}))
		return err
	})
}

// Read implements [Store].
func (b Attempts) Read(ctx context.Context, id ID) (Record, error) {
	rows, err := b.in(readSQL).Read(ctx, b.DB, b.id(id))
	r, found, err := record(rows, err)
	if err == nil && !found {
		err = errors.New("call: there is no such attempt")
	}
	return r, err
}

// TakeOver implements [Store].
func (b Attempts) TakeOver(ctx context.Context, id ID, holder string, lease time.Duration) (r Record, taken bool, err error) {
	err = b.DB.InTx(ctx, func(tx once.Tx) error {
		rows, err := b.in(takeOverSQL).Query(ctx, tx, b.id(id).With(once.Args{"holder": holder, "lease": lease.Seconds()}))
		r, taken, err = record(rows, err)
		return err
	})
	return r, taken, err
}

// Complete implements [Store].
func (b Attempts) Complete(ctx context.Context, r Record, o Outcome) (after Record, changed bool, err error) {
	err = b.DB.InTx(ctx, func(tx once.Tx) (err error) {
		if after, changed, err = b.end(ctx, tx, r, o); err != nil || !changed {
			return err
		}
		if r.Status == InDoubt {
			if err := b.troubles().End(ctx, tx, r.Key, TroubleInDoubt); err != nil {
				return err
			}
		}
		if b.Ended == nil {
			return nil
		}
		return b.Ended(ctx, tx, after, o)
	})
	return after, changed, err
}

func (b Attempts) end(ctx context.Context, tx once.Tx, r Record, o Outcome) (Record, bool, error) {
	rows, err := b.in(endSQL).Query(ctx, tx, b.held(r, once.Args{
		"status": string(o.Status), "ref": once.OrNull(o.Ref), "reason": once.OrNull(o.Reason),
	}))
	return record(rows, err)
}

// Park implements [Store].
func (b Attempts) Park(ctx context.Context, r Record, next time.Duration) (Record, error) {
	err := b.DB.InTx(ctx, func(tx once.Tx) error {
		_, err := b.in(parkSQL).Exec(ctx, tx, b.held(r, once.Args{"next": next.Seconds()}))
		return err
	})
	if err != nil {
		return r, err
	}
	return b.Read(ctx, r.ID)
}

// Release implements [Store].
func (b Attempts) Release(ctx context.Context, r Record, why error) (after Record, changed bool, err error) {
	err = b.DB.InTx(ctx, func(tx once.Tx) (err error) {
		after, changed, err = b.end(ctx, tx, r, Outcome{Status: Released, Reason: why.Error()})
		if err == nil && changed && b.Released != nil {
			err = b.Released(ctx, tx, after, why)
		}
		if err != nil || !changed || !errors.Is(why, ErrRefused) {
			return err
		}
		return b.raise(ctx, tx, r, TroubleWrong, map[string]any{"reason": why.Error()})
	})
	return after, changed, err
}

// Same implements [Store].
func (b Attempts) Same(r Record, o Outcome) bool {
	return r.Status == o.Status && (o.Ref == "" || r.Ref == o.Ref)
}

// Contradict implements [Store].
func (b Attempts) Contradict(ctx context.Context, r Record, o Outcome) error {
	return b.DB.InTx(ctx, func(tx once.Tx) error {
		if _, err := b.in(contradictSQL).Exec(ctx, tx, b.id(r.ID)); err != nil {
			return err
		}
		return b.raise(ctx, tx, r, TroubleContradiction, map[string]any{
			"stored": r.Status, "stored_ref": r.Ref, "outside_says": o.Status, "outside_ref": o.Ref,
		})
	})
}

// Overdue implements [Store].
func (b Attempts) Overdue(ctx context.Context, r Record, why error) error {
	return b.DB.InTx(ctx, func(tx once.Tx) error {
		return b.raise(ctx, tx, r, TroubleInDoubt, map[string]any{"subject": r.Subject, "no": r.No, "asked": r.Asked, "reason": why.Error()})
	})
}

// Due implements [Store].
func (b Attempts) Due(ctx context.Context, most int) ([]ID, error) {
	rows, err := b.in(dueSQL).Read(ctx, b.DB, once.Args{"kind": b.Kind, "most": most})
	return once.All(rows, err, func(id *ID) []any { return []any{&id.Subject, &id.No} })
}

func (b Attempts) raise(ctx context.Context, tx once.Tx, r Record, kind once.TroubleKind, facts map[string]any) error {
	return b.troubles().Raise(ctx, tx, once.Trouble{Kind: kind, Scope: r.Scope, Subject: r.Key, Facts: facts})
}

func (b Attempts) troubles() once.Troubles {
	if b.Troubles == nil {
		return trouble.Table{Schema: b.Schema}
	}
	return b.Troubles
}

func (b Attempts) in(text string) once.Statement { return once.Written(b.Schema, text) }

func (b Attempts) id(id ID) once.Args {
	return once.Args{"kind": b.Kind, "subject": id.Subject, "no": id.No}
}

func (b Attempts) held(r Record, more once.Args) once.Args {
	return b.id(r.ID).With(once.Args{"fence": r.Fence}).With(more)
}

func record(rows once.Rows, err error) (r Record, found bool, _ error) {
	var age float64
	found, err = once.One(rows, err, &r.Subject, &r.No, &r.Key, &r.Status, &r.Fence, &r.Asked, &r.Leased, &age,
		once.Optional(&r.Scope), &r.Request, once.Optional(&r.Ref), once.Optional(&r.Reason), &r.Contradicted)
	r.Age = time.Duration(age * float64(time.Second))
	return r, found, err
}
