package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// What a person can decide about a payment on which we and the provider disagree.
const (
	// AcceptProvider takes the provider's charge for the payment's: it is captured
	// with it, and everything follows that follows a capture.
	AcceptProvider = "accept_provider"
	// KeepOurs leaves the outcome that we have; an attempt still in doubt ends as
	// abandoned. A new attempt may start.
	KeepOurs = "keep_ours"
)

// Errors of a decision; neither changed anything.
var (
	// ErrNothingToResolve: no alert about this payment is open, or somebody has
	// decided before.
	ErrNothingToResolve = errors.New("nothing about this payment waits for a person")
	// ErrStillApart: after that decision our books and the provider's would still
	// differ, so the alert has to stay open.
	ErrStillApart = errors.New("that decision would leave our books and the provider's apart")
)

// Resolve asks to close the open alerts of a payment by a person's decision.
type Resolve struct {
	Payment  Payment
	Decision string
	Reason   string
	By       string
}

// Resolution is a decision as it was written down.
type Resolution struct {
	ID        uuid.UUID
	Payment   Payment
	AttemptNo int
	Decision  string
	Reason    string
	By        string
	DecidedAt time.Time
}

// Resolve carries out a person's decision, once. It asks the provider what it
// holds at this moment and refuses a decision after which our books and the
// provider's would differ; so closing the alert hides nothing. What is stored
// stays as it is: neither an attempt's outcome nor an answer is rewritten.
//
// After nil decision, effect, event and the closing of the alerts are durable
// together. Asked again it is ErrNothingToResolve.
func (s *Service) Resolve(ctx context.Context, r Resolve) (Resolution, error) {
	if n, err := alert.Count(ctx, s.DB, PaymentRef(r.Payment.ID), about...); err != nil || n == 0 {
		return Resolution{}, errors.Join(err, whenNone(n, err))
	}
	live, err := s.live(ctx, r.Payment)
	if err != nil {
		return Resolution{}, notExecuted(errors.Join(provider.ErrNotSent, err))
	}
	a, err := s.latest(ctx, r.Payment)
	if err != nil {
		return Resolution{}, err
	}
	effect, err := s.decide(ctx, r, a, live)
	if err != nil {
		return Resolution{}, err
	}
	return s.carryOut(ctx, r, a, live, effect)
}

func whenNone(n int, err error) error {
	if err == nil && n == 0 {
		return ErrNothingToResolve
	}
	return nil
}

// An effect is what a decision writes, inside its transaction. It returns
// ErrNothingToResolve when the payment has moved on since it was decided.
type effect func(ctx context.Context, tx postgres.Tx, id uuid.UUID) error

// decide finds the effect of a decision, or why it has none.
func (s *Service) decide(ctx context.Context, r Resolve, a attempt, live []provider.Holding) (effect, error) {
	p := r.Payment
	theirs := len(live) == 1 && live[0].Amount == p.Amount() && live[0].BackMinor == 0
	switch {
	case p.CapturedAt.Valid:
		// Money cannot be un-captured here; a refund gives it back. What can be
		// closed is an alert whose cause is gone.
		if p.heldAs(live) {
			return func(context.Context, postgres.Tx, uuid.UUID) error { return nil }, nil
		}
	case a.unfinished() && r.Decision == AcceptProvider:
		if theirs && live[0].IdempotencyKey == a.ProviderKey {
			return s.settle(ctx, a, outcomeOf(live[0].Charge))
		}
	case a.unfinished():
		return s.giveUp(ctx, a, live)
	case r.Decision == AcceptProvider:
		if theirs {
			return s.adopt(a, live[0].Charge), nil
		}
	case len(live) == 0:
		return reopen(p), nil
	}
	return nil, ErrStillApart
}

// heldAs says whether the provider holds what the captured payment says: what is
// left of its own charge, and nothing else.
func (p Payment) heldAs(live []provider.Holding) bool {
	left := p.AmountMinor - p.RefundedMinor
	if len(live) == 0 {
		return left == 0
	}
	return len(live) == 1 && live[0].ID == p.ProviderChargeID.String && live[0].Amount == p.Amount() && live[0].LeftMinor() == left
}

// giveUp makes sure at the provider that the attempt in doubt never charges, or
// that what it charged has gone back.
func (s *Service) giveUp(ctx context.Context, a attempt, live []provider.Holding) (effect, error) {
	if len(live) > 0 {
		return nil, ErrStillApart
	}
	cancelling, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ProviderDeadline)
	defer cancel()
	c, err := s.Provider.Cancel(cancelling, a.ProviderKey)
	switch {
	case err != nil:
		return nil, notExecuted(errors.Join(provider.ErrNotSent, err))
	case c.Status != provider.Succeeded:
		return s.settle(ctx, a, outcomeOf(c))
	}
	alive, err := s.alive(ctx, c)
	switch {
	case err != nil:
		return nil, notExecuted(errors.Join(provider.ErrNotSent, err))
	case alive:
		return nil, ErrStillApart
	}
	return s.settle(ctx, a, givenBack(c))
}

// settle ends an attempt in doubt as any recovery would. It becomes its holder
// first: whoever else is asking about it finds an older fence.
func (s *Service) settle(ctx context.Context, a attempt, o outcome) (effect, error) {
	a, taken, err := s.calls.TakeOver(ctx, a.Call().ID)
	switch {
	case err != nil:
		return nil, notExecuted(err)
	case !taken:
		return nil, idempotency.ErrInProgress // another recovery is asking at this moment
	}
	return func(ctx context.Context, tx postgres.Tx, _ uuid.UUID) error { return s.ended(ctx, tx, a, o) }, nil
}

// adoptSQL opens the attempt that a person's decision is, already over, so that
// it can be finished like any other. What was stored about the one before stays.
const adoptSQL = `
WITH p AS (
  UPDATE payments SET status = 'capturing', attempt_no = attempt_no + 1, decline_code = NULL, unknown_charge_at = NULL
   WHERE id = $1::uuid AND attempt_no = $2::integer AND status IN ('requires_capture', 'declined')
  RETURNING *
)
INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, opened_by, holder, status)
SELECT id, attempt_no, merchant_id, 'resolution:' || $3::text, amount_minor, currency, 'resolution:' || $3::text, $3::uuid, 'sending'
  FROM p`

// adopt captures the payment with a charge that no attempt of ours admits to.
func (s *Service) adopt(latest attempt, c provider.Charge) effect {
	return func(ctx context.Context, tx postgres.Tx, id uuid.UUID) error {
		n, err := tx.Exec(ctx, adoptSQL, latest.PaymentID, latest.No, id)
		if err != nil || n == 0 {
			return errors.Join(err, whenNone(int(n), err))
		}
		a := latest
		a.No, a.Fence, a.OpenedBy = latest.No+1, 1, "resolution:"+id.String()
		return s.ended(ctx, tx, a, outcomeOf(c))
	}
}

// ended finishes an attempt in the transaction of a decision.
func (s *Service) ended(ctx context.Context, tx postgres.Tx, a attempt, o outcome) error {
	f, err := s.finalOf(ctx, a, o)
	if err != nil {
		return err
	}
	changed, err := s.finish(ctx, tx, a, o, f)
	if err == nil && !changed {
		err = whenNone(0, nil)
	}
	return err
}

const reopenSQL = `
WITH p AS (UPDATE payments SET unknown_charge_at = NULL WHERE id = $1)
UPDATE payment_attempts SET contradicted_at = NULL WHERE payment_id = $1`

const stillSQL = `SELECT count(*) FROM payments WHERE id = $1 AND attempt_no = $2 AND status IN ('requires_capture', 'declined')`

// reopen keeps what is stored and lets the next attempt start.
func reopen(p Payment) effect {
	return func(ctx context.Context, tx postgres.Tx, _ uuid.UUID) error {
		if err := oneRow(ctx, tx, stillSQL, p.ID, p.AttemptNo); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, reopenSQL, p.ID)
		return err
	}
}

// oneRow runs a statement that counts what it finds; nothing found means that
// another was faster.
func oneRow(ctx context.Context, tx postgres.Tx, query string, args ...any) error {
	var n int
	if err := tx.Get(ctx, &n, query, args...); err != nil {
		return err
	}
	return whenNone(n, nil)
}

// The payment's row is locked first, as every other change of it does.
const lockSQL = `SELECT 1 FROM payments WHERE id = $1 FOR UPDATE`

const writeDownSQL = `
INSERT INTO payment_resolutions (id, merchant_id, payment_id, attempt_no, decision, reason, decided_by, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
RETURNING decided_at`

// carryOut writes decision and effect and closes the alerts. Of two people who
// decide at once, one finds them closed.
func (s *Service) carryOut(ctx context.Context, r Resolve, a attempt, live []provider.Holding, effect effect) (Resolution, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	facts, err := json.Marshal(map[string]any{"status": r.Payment.Status, "attempt": a.Status, "provider_holds": live})
	if err != nil {
		return Resolution{}, err
	}
	res := Resolution{AttemptNo: a.No, Decision: r.Decision, Reason: r.Reason, By: r.By}
	err = postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error {
		res.ID = uuid.Must(uuid.NewV7())
		var locked int
		if err := tx.Get(ctx, &locked, lockSQL, r.Payment.ID); err != nil {
			return err
		}
		n, err := alert.Resolve(ctx, tx, PaymentRef(r.Payment.ID), about...)
		if err != nil || n == 0 {
			return errors.Join(err, whenNone(int(n), err))
		}
		if err := effect(ctx, tx, res.ID); err != nil {
			return err
		}
		return tx.Get(ctx, &res.DecidedAt, writeDownSQL, res.ID, r.Payment.MerchantID, r.Payment.ID, a.No, r.Decision, r.Reason, r.By, string(facts))
	})
	if err != nil {
		return Resolution{}, err
	}
	s.flights.Landed(r.Payment.ID.String())
	s.Wake()
	s.Log.Info("a person has decided", "payment", PaymentRef(r.Payment.ID), "decision", r.Decision, "by", r.By)
	s.tell(ctx, observe.Committed, observe.Event{
		Node: "postgres", Scope: r.Payment.MerchantID, Correlation: r.Payment.ID, Operation: "resolve", Detail: r.Decision,
	})
	res.Payment, err = s.Payment(ctx, r.Payment.MerchantID, r.Payment.ID)
	return res, err
}
