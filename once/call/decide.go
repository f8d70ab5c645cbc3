package call

import (
	"context"
	"errors"

	"payonce/once"
)

// Decision is how a person ends an attempt that the protocol leaves open, or one that the
// outside contradicts.
type Decision struct {
	Status  Status // Done, Refused or Abandoned
	By, Why string // who decided, and for which reason; both stay in the table
}

// ContradictedError says that the outside does not bear a person's decision out.
type ContradictedError struct {
	// Found is what it says. A status of "" means that it does not know the key.
	Found Outcome
}

// Error implements error.
func (e *ContradictedError) Error() string {
	if e.Found.Status == "" {
		return "call: the outside does not know the key"
	}
	return "call: the outside says that it is " + string(e.Found.Status)
}

var (
	// ErrNothingToDecide says that the attempt has an end that the outside does not contradict.
	ErrNothingToDecide = errors.New("call: there is nothing to decide")
	// ErrCannotCancel says that the outside could still do what is decided to be abandoned,
	// because it has no [Outside.Cancel].
	ErrCannotCancel = errors.New("call: nothing keeps the outside from doing it later")
)

// A second run finds the attempt decided and changes nothing.
const decideSQL = `
UPDATE {calls}
   SET status = @status, ref = coalesce(@ref, ref), reason = coalesce(@reason, reason), lease_until = NULL, next_ask_at = NULL,
       ended_at = coalesce(ended_at, clock_timestamp()), contradicted_at = NULL,
       decided_by = @by, decided_why = @why, decided_at = clock_timestamp()
 WHERE ` + which + ` AND fence = @fence AND (ended_at IS NULL OR contradicted_at IS NOT NULL)
RETURNING ` + columns

// Decide ends an attempt by a person's decision, for good: the caller becomes its holder
// first, so another that has it changes nothing any more, and the outside is asked once
// more. What it does not bear out is refused with an [ContradictedError]; where the attempt
// was open, what the outside says is its outcome. While the outside does not answer
// nothing is decided. An attempt is abandoned when the outside has been made to refuse its
// key. Where the outcome changes, [Attempts.Ended] is called as for any, also a second time
// for an attempt that had another one; [ErrAttempted] means that a later attempt has had it
// done too, and one of the two must be undone outside before.
func (b Attempts) Decide(ctx context.Context, r *Runner[Record, Outcome], id ID, d Decision) (Record, error) {
	a, err := b.Read(ctx, id)
	switch {
	case err != nil:
		return a, unsent(err)
	case a.Status.Open():
		var taken bool
		if a, taken, err = r.TakeOver(ctx, id); err != nil {
			return a, unsent(err)
		} else if !taken {
			return a, ErrHeld
		}
	case !a.Contradicted:
		return a, ErrNothingToDecide
	}
	found, err := b.found(ctx, r, a, d.Status)
	var otherwise *ContradictedError
	switch {
	case err == nil:
		return b.decided(ctx, a, found, d)
	case a.Status.Open() && errors.As(err, &otherwise) && otherwise.Found.Status != "":
		after, ended := r.complete(ctx, a, otherwise.Found)
		return after, errors.Join(err, ended)
	case a.Status.Open():
		after, parked := r.park(ctx, a)
		return after, errors.Join(err, parked)
	}
	return a, err
}

// found asks the outside whether an attempt is as a person says, and has it refuse the key
// where it knows nothing of an attempt that is to be abandoned.
func (b Attempts) found(ctx context.Context, r *Runner[Record, Outcome], a Record, want Status) (o Outcome, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Deadline)
	defer cancel()
	o, known, err := r.cfg.Outside.Ask(ctx, a)
	switch {
	case err != nil:
		return o, unsent(err)
	case !known && want != Abandoned:
		return o, &ContradictedError{}
	case !known && r.cfg.Outside.Cancel == nil:
		return o, ErrCannotCancel
	case !known:
		if o, err = r.cfg.Outside.Cancel(ctx, a); err != nil {
			return o, unsent(err)
		}
	}
	if o.Status != want {
		return o, &ContradictedError{Found: o}
	}
	return o, nil
}

// decided writes the decision and what follows from it.
func (b Attempts) decided(ctx context.Context, a Record, found Outcome, d Decision) (after Record, err error) {
	err = b.DB.InTx(ctx, func(tx once.Tx) error {
		rows, err := b.in(decideSQL).Query(ctx, tx, b.held(a, once.Args{
			"status": string(found.Status), "ref": once.OrNull(found.Ref), "reason": once.OrNull(found.Reason), "by": d.By, "why": d.Why,
		}))
		changed := false
		if after, changed, err = record(rows, err); err != nil || !changed {
			return err
		}
		for _, kind := range []once.TroubleKind{TroubleInDoubt, TroubleContradiction} {
			if err := b.troubles().End(ctx, tx, a.Key, kind); err != nil {
				return err
			}
		}
		if b.Ended == nil || b.Same(a, found) {
			return nil
		}
		return b.Ended(ctx, tx, after, found)
	})
	switch {
	case b.DB.Constraint(err) == "calls_one":
		return a, ErrAttempted
	case errors.Is(err, once.ErrCommitUnknown), err == nil && after.Key == "":
		now, read := b.Read(ctx, a.ID)
		if read == nil && b.Same(now, found) {
			return now, nil
		}
		return now, errors.Join(err, read, ErrHeld)
	}
	return after, err
}
