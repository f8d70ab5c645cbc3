package checkout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once"
	"payonce/once/call"
	"payonce/once/idempotency"
	onceotel "payonce/once/otel"
)

// Capture asks to charge a payment.
type Capture struct {
	Merchant uuid.UUID
	Key      string
	Payment  uuid.UUID
	Amount   money.Money
	Token    string
	// Wait bounds how long a duplicate waits for its twin; 0 means the default.
	Wait time.Duration
}

func (c Capture) request() idempotency.Request {
	return idempotency.Request{
		Scope: c.Merchant.String(), Key: c.Key, Operation: "POST /v1/payments/{id}/capture",
		Fields: []idempotency.Field{
			{Pointer: "/id", Value: c.Payment.String()},
			{Pointer: "/amount_minor", Value: strconv.FormatInt(c.Amount.AmountMinor, 10)},
			{Pointer: "/currency", Value: c.Amount.Currency},
			{Pointer: "/card_token", Value: c.Token},
		},
	}
}

// delivery is one request on its way through the protocol.
type delivery struct {
	Capture
	request idempotency.Request
	print   idempotency.Fingerprint
	// until is when waiting ends.
	until time.Time
	// waited says that this delivery joined a twin's run; recovered that it
	// finished one.
	waited, recovered bool
	// cleared is the number up to which the provider was asked whether it holds
	// a charge that we do not know of.
	cleared int
}

// Capture charges a payment once, whatever number of deliveries ask for it. The
// numbers are those of the package comment.
func (s *Service) Capture(ctx context.Context, c Capture) (Result, error) {
	if c.Wait <= 0 {
		c.Wait = s.Wait
	}
	c.Wait = min(c.Wait, s.MaxWait)
	d := &delivery{Capture: c, request: c.request(), until: s.Now().Add(c.Wait)}
	d.print = d.request.Fingerprint(s.Keys.Secret)
	for {
		res, done, err := s.try(ctx, d)
		if err != nil {
			return Result{Fate: Rejected, PaymentID: c.Payment}, s.keyed(err)
		}
		if done {
			res.PaymentID = c.Payment
			return res, nil
		}
		if err := ctx.Err(); err != nil {
			return Result{Fate: Rejected, PaymentID: c.Payment}, notExecuted(err)
		}
	}
}

// try goes through the protocol once. It is not done when the world moved
// meanwhile (a twin finished, a key was given back) and the next look decides.
func (s *Service) try(ctx context.Context, d *delivery) (res Result, done bool, err error) {
	// 1. The key: replay its answer, or join the run that is under way.
	row, found, err := s.Keys.Lookup(ctx, d.request.Scope, d.Key)
	if err != nil {
		return res, false, notExecuted(err)
	}
	if found {
		return s.known(ctx, d, row)
	}
	// 2. tx1: payment, attempt and key.
	if err := fault.Point("capture.before_claim", d.Merchant, d.Payment); err != nil {
		return res, false, notExecuted(err)
	}
	a, err := s.open(ctx, d)
	_, noDay := postgres.NoPartition(err)
	switch {
	case noDay:
		return res, false, notExecuted(err)
	case errors.Is(err, idempotency.ErrTaken):
		return res, false, nil
	case errors.Is(err, errNotClaimable):
		return s.unclaimable(ctx, d)
	case once.LockTimeout(err), errors.Is(err, idempotency.ErrInProgress):
		return res, false, idempotency.ErrInProgress
	case err != nil:
		return res, false, maybeExecuted(err)
	}
	if err := fault.Point("capture.after_claim", d.Merchant, d.Payment); err != nil {
		return res, false, maybeExecuted(err)
	}
	s.tell(ctx, observe.Claimed, observe.Event{Scope: d.Merchant, Correlation: d.Payment, Operation: "capture", Key: d.Key, Attempt: a.No})
	// 3. The charge ([Service.send]) and 4. tx2 ([Service.finish]), as package call has them
	// done. 5. [Service.landed] wakes the relay, and the answer goes out.
	res, err = s.charge(ctx, a)
	if err := fault.Point("capture.before_response", d.Merchant, d.Payment); err != nil {
		return res, false, maybeExecuted(err)
	}
	return res, err == nil, err
}

// errNotClaimable says that the payment is in no state to be captured by this
// request: read it to find out why.
var errNotClaimable = errors.New("the payment cannot be claimed")

// open opens the next attempt under the request's key, and finds out whether it did when
// the reply to that was lost.
func (s *Service) open(ctx context.Context, d *delivery) (a attempt, err error) {
	// From here on the client may hang up: a claim that is on its way is
	// carried through, so that this process knows its outcome.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	token := uuid.New()
	if s.Folded {
		a, err = s.claimFolded(ctx, d, token)
	} else {
		a, err = s.claim(ctx, d, token)
	}
	if errors.Is(err, idempotency.ErrTaken) || errors.Is(err, errNotClaimable) || errors.Is(err, once.ErrCommitUnknown) {
		return s.ownClaim(ctx, d.Capture, token, err) // or by the first run of this very claim
	}
	return a, err
}

// ownClaim finds the attempt that was claimed by a transaction whose reply was lost: the
// token tells. Otherwise it is not ours, which is why.
func (s *Service) ownClaim(ctx context.Context, c Capture, token uuid.UUID, why error) (attempt, error) {
	row, found, err := s.Keys.Lookup(ctx, c.Merchant.String(), c.Key)
	if err != nil {
		return attempt{}, err
	}
	if found && row.ClaimToken == token.String() {
		return s.attempt(ctx, c.Payment, row.SubjectNo)
	}
	return attempt{}, why
}

// claimPayment moves the payment, if this request may capture it.
var claimPayment = `
UPDATE payments
   SET status = 'capturing', attempt_no = attempt_no + 1, decline_code = NULL
 WHERE id = @payment::uuid AND merchant_id = @merchant::uuid
   AND amount_minor = @amount::bigint AND currency = @currency::text
   AND status IN ('requires_capture', 'declined')
   -- A charge that contradicts a stored decline forbids every new attempt.
   AND (attempt_no = 0 OR NOT EXISTS (SELECT 1 FROM payment_attempts c WHERE c.payment_id = @payment::uuid AND c.contradicted_at IS NOT NULL))
   -- So does one that no attempt asked for. The provider announced one, and it is not
   -- known to be gone:
   AND unknown_charge_at IS NULL
   -- or an attempt may have reached the provider; then the caller has asked about
   -- all up to this number.
   AND (attempt_no = @asked_up_to::integer OR NOT EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payment_id = @payment::uuid AND t.status <> 'not_sent'))
   -- And the outcome's event must find its day, or the charge would stand alone.
   AND ` + daysAreThere + `
`

// daysAreThere looks for the partitions of today and tomorrow where they are named, because
// each capture asks; days_are_there() says with an error which one is missing.
var daysAreThere = `CASE WHEN ` + dayThere("outbox_events", 0) + ` AND ` + dayThere("outbox_events", 1) + `
                AND ` + dayThere("consumer_inbox", 0) + ` AND ` + dayThere("consumer_inbox", 1) + `
            THEN true ELSE days_are_there() END`

func dayThere(parent string, away int) string {
	return fmt.Sprintf(`pg_partition_root(to_regclass('%s' || to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + %d, '_YYYYMMDD'))) IS NOT NULL`, parent, away)
}

// openAttempt reads the payment as it was just moved; what follows says where from.
const openAttempt = `
INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, card_token,
                              opened_by, holder, lease_until, next_ask_at, status, traceparent)
SELECT id, attempt_no, merchant_id, 'capture:pay_' || replace(id::text, '-', '') || ':' || attempt_no, amount_minor, currency, @card::text,
       @opened_by::text, @holder::uuid,
       clock_timestamp() + @lease::float8 * interval '1 second', clock_timestamp() + @lease::float8 * interval '1 second', 'sending', @trace::text
  FROM `

var (
	claimPaymentSQL = once.Named(claimPayment + `
  RETURNING attempt_no`)
	openAttemptSQL = once.Named(openAttempt + `payments WHERE id = @payment::uuid`)
)

// opening are the parameters of claimPayment and openAttempt.
func (s *Service) opening(ctx context.Context, d *delivery) once.Args {
	return once.Args{
		"payment": d.Payment, "merchant": d.Merchant, "amount": d.Amount.AmountMinor, "currency": d.Amount.Currency, "asked_up_to": d.cleared,
		"card": d.Token, "opened_by": d.Key, "holder": s.self, "lease": s.Lease.Seconds(), "trace": onceotel.Traceparent(ctx),
	}
}

// claim is tx1: key, payment and attempt change together, or nothing does. Each error
// rolls back what came before it.
func (s *Service) claim(ctx context.Context, d *delivery, token uuid.UUID) (a attempt, err error) {
	values := s.opening(ctx, d)
	err = postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error {
		// A twin with the same key waits here until this commits, and finds it taken.
		if err := s.Keys.Claim(ctx, tx, d.request, d.print, token); err != nil {
			return err
		}
		var no int
		err := tx.Get(ctx, &no, claimPaymentSQL.Text(), claimPaymentSQL.Values(values)...)
		if errors.Is(err, sql.ErrNoRows) {
			return errNotClaimable
		}
		if err != nil {
			return err
		}
		if _, err := openAttemptSQL.Exec(ctx, tx, values); err != nil {
			return err
		}
		if err := s.Keys.Bind(ctx, tx, d.request, token, d.Payment.String(), no); err != nil {
			return err
		}
		return tx.Get(ctx, &a, attemptSQL, d.Payment, no)
	})
	return a, err
}

// charge is steps 3 and 4 for an attempt that this process holds.
func (s *Service) charge(ctx context.Context, a attempt) (Result, error) {
	a, err := s.calls.Run(ctx, a)
	switch {
	case err != nil:
		return Result{}, left(err)
	case a.Status == attemptInDoubt:
		res := s.doubtful(ctx, a)
		res.Fate = Executed
		return res, nil
	}
	res := Result{Fate: Executed}
	if a.end == nil { // a twin was faster
		res.Answer, err = s.storedAnswer(ctx, a)
		return res, err
	}
	res.Answer = a.end.answer
	return res, nil
}

// send calls the provider under the attempt's own key. It is [call.Outside]'s.
func (s *Service) send(ctx context.Context, a attempt) (outcome, error) {
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No}
	if err := fault.Point("capture.before_charge", a.MerchantID, a.PaymentID); err != nil {
		return outcome{}, errors.Join(provider.ErrInDoubt, err)
	}
	s.tell(ctx, observe.Sent, about)
	c, err := s.Provider.Charge(ctx, provider.Request{
		Key: a.ProviderKey, Reference: PaymentRef(a.PaymentID), Amount: money.Of(a.AmountMinor, a.Currency), Token: a.CardToken.String,
	})
	if err := fault.Point("capture.after_charge", a.MerchantID, a.PaymentID); err != nil {
		return outcome{}, errors.Join(provider.ErrInDoubt, err)
	}
	about.Node, about.Detail = "provider", string(c.Status)
	if err != nil {
		about.Detail = "no answer"
	}
	s.tell(ctx, observe.Answered, about)
	switch {
	case errors.Is(err, provider.ErrNotSent):
		return outcome{}, fmt.Errorf("%w: %w", call.ErrNotSent, err)
	case errors.Is(err, provider.ErrRefused):
		return outcome{}, fmt.Errorf("%w: %w", call.ErrRefused, err)
	case err != nil:
		return outcome{}, err
	}
	return s.believe(ctx, a, c)
}

// What an outcome changes; what follows says in which row. The attempt is the lock: an
// open attempt has one holder, that of its fence, and its payment waits for exactly it. A
// holder that lost its lease has an old fence, finds no row, and does nothing.
const (
	endAttempt = `
UPDATE payment_attempts a
   SET status = @attempt_status::text, provider_charge_id = @charge::text, decline_code = @decline_code::text,
       card_token = NULL, lease_until = NULL, next_ask_at = NULL, finished_at = clock_timestamp()
 WHERE a.payment_id = @payment::uuid AND a.attempt_no = @attempt::integer AND a.fence = @fence::bigint AND a.status IN ('sending', 'in_doubt')`
	endPayment = `
UPDATE payments p
   SET status = @status::text, decline_code = @decline_code::text, version = p.version + 1,
       provider_charge_id = CASE WHEN @status::text = 'captured' THEN @charge::text END,
       captured_at = CASE WHEN @status::text = 'captured' THEN @at::timestamptz END`
	waiting  = `p.status IN ('capturing', 'in_doubt')`
	payOrder = `
UPDATE orders o SET status = 'paid'`
	isPaid = `o.status = 'awaiting_payment' AND @status::text = 'captured'`
)

// answerAlerts ends those about this doubt.
var answerAlerts = alert.ResolveFrom("cur", "'pay_' || replace(cur.subject_id::text, '-', '')", AlertInDoubt, AlertAmount, AlertRefused) + `
   AND (l.kind = 'provider_refused' OR l.facts->>'attempt_no' = cur.subject_no::text)
`

var (
	endAttemptSQL   = once.Named(endAttempt)
	endPaymentSQL   = once.Named(endPayment + ` WHERE p.id = @payment::uuid AND p.attempt_no = @attempt::integer AND ` + waiting + ` RETURNING p.version`)
	payOrderSQL     = once.Named(payOrder + ` WHERE o.id = @order::uuid AND ` + isPaid)
	answerAlertsSQL = once.Named(`WITH cur AS (SELECT @payment::uuid AS subject_id, @attempt::integer AS subject_no) ` + answerAlerts)
)

// doubted says whether an alert may speak of the attempt, or of one before it. Of a first
// attempt that its first holder finishes none does.
func (a attempt) doubted() bool {
	return a.No != 1 || a.Fence != 1 || a.Asked > 0 || a.Status != attemptSending
}

// held are the parameters that name an attempt and its holder.
func (a attempt) held() once.Args {
	return once.Args{"payment": a.PaymentID, "attempt": a.No, "fence": a.Fence}
}

// ending are the parameters of what an outcome changes.
func (a attempt) ending(o outcome, f final) once.Args {
	return a.held().With(once.Args{
		"order":          a.OrderID,
		"attempt_status": o.attemptStatus, "charge": nullable(o.chargeID), "decline_code": nullable(o.declineCode), "status": f.status, "at": f.at,
	})
}

// finish is tx2: attempt, payment, order, event and the key's exact answer change
// together. It is not changed when another holder finishes the attempt, or has done so.
func (s *Service) finish(ctx context.Context, tx postgres.Tx, a attempt, o outcome, f final) (changed bool, err error) {
	values := a.ending(o, f)
	if n, err := endAttemptSQL.Exec(ctx, tx, values); err != nil || n == 0 {
		return false, err
	}
	if err := tx.Get(ctx, &f.event.AggregateVersion, endPaymentSQL.Text(), endPaymentSQL.Values(values)...); err != nil {
		return false, err
	}
	if _, err := payOrderSQL.Exec(ctx, tx, values); err != nil {
		return false, err
	}
	if a.doubted() {
		if _, err := answerAlertsSQL.Exec(ctx, tx, values); err != nil {
			return false, err
		}
	}
	if err := patterns.Append(ctx, tx, f.event); err != nil {
		return false, err
	}
	return true, s.Keys.Complete(ctx, tx, a.PaymentID.String(), a.No, f.answer, PaymentRef(a.PaymentID))
}
