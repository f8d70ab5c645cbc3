package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"payonce/internal/edge/alerts"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/retention"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/outbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// refusal is a problem on its way to the client. Unlike an internal error it
// holds nothing that a client must not see.
type refusal struct {
	kind       wire.Kind
	detail     string
	places     []wire.ProblemError
	retryAfter time.Duration
	executed   wire.ProblemExecuted
}

// Error implements error.
func (r *refusal) Error() string { return r.kind.Slug + ": " + r.detail }

func no(kind wire.Kind, detail string) *refusal { return &refusal{kind: kind, detail: detail} }

var errNotFound = no(wire.KindNotFound, "There is nothing here by that name.")

// invalid is a request that does not fit the contract in a way that its own
// validators let through; the generated code found it. Its text is ours to write.
func invalid(error) *refusal {
	return no(wire.KindInvalidRequest, "A parameter or the body does not fit the contract.")
}

// misplaced makes a refusal of what is wrong in a body.
func misplaced(found []strictjson.Violation) *refusal {
	r := no(wire.KindInvalidRequest, "The body does not fit the contract; errors[] names each place.")
	for _, v := range found {
		r.places = append(r.places, wire.ProblemError{Pointer: &v.Pointer, Detail: v.Detail})
	}
	return r
}

// misgiven makes a refusal of a parameter.
func misgiven(name, detail string) *refusal {
	r := no(wire.KindInvalidRequest, "A parameter does not fit the contract; errors[] names it.")
	r.places = []wire.ProblemError{{Parameter: &name, Detail: detail}}
	return r
}

// refusalOf is the one table from error to problem. What it does not know is a
// 500 that says nothing.
func refusalOf(err error) *refusal {
	var (
		ready    *refusal
		mismatch *idempotency.MismatchError
		away     *checkout.UnavailableError
		used     *tickets.UsedError
		found    *saga.Contradiction
		ends     *alerts.EndsOtherwiseError
	)
	if r := unbelieved(err); r != nil {
		return r
	}
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &mismatch):
		return reused(mismatch)
	case errors.Is(err, idempotency.ErrInProgress):
		r := no(wire.KindKeyInProgress, "A request with this key, or for this payment, is still running. Ask again with the same key.")
		r.retryAfter = time.Second
		return r
	case errors.Is(err, idempotency.ErrKeyMissing):
		return no(wire.KindKeyMissing, "Send an Idempotency-Key header that names this intent.")
	case errors.Is(err, idempotency.ErrKeyInvalid):
		return no(wire.KindKeyInvalid, "The Idempotency-Key header must be sent once, with 1 to 255 visible ASCII characters.")
	case errors.As(err, &used):
		return no(wire.KindTicketUsed, "The ticket was used at "+wire.At(used.At).String()+".")
	case errors.Is(err, tickets.ErrVoid):
		return no(wire.KindTicketVoid, "The ticket is void.")
	case errors.Is(err, saga.ErrSettled):
		return no(wire.KindSagaNotStuck, "The saga is not stuck; there is nothing to decide.")
	case errors.Is(err, saga.ErrDeciding):
		return no(wire.KindSagaNotStuck, "A decision about the saga is pending; it ends by itself once the outside can be asked.")
	case errors.As(err, &found):
		return no(wire.KindSagaContradicted, "The decision was refused: "+found.Found+". The saga is as it was.")
	case errors.Is(err, saga.ErrNoWayBack):
		return no(wire.KindSagaPastPivot, "The saga cannot have ended so.")
	case errors.Is(err, checkout.ErrNotFound), errors.Is(err, refund.ErrNotFound), errors.Is(err, tickets.ErrNotFound), errors.Is(err, saga.ErrNotFound):
		return errNotFound
	case errors.Is(err, checkout.ErrNothingToResolve):
		return no(wire.KindNothingToResolve, "No alert about this payment is open.")
	case errors.Is(err, checkout.ErrStillApart):
		return no(wire.KindStillApart, "After that decision our books and the provider's would still differ.")
	case errors.Is(err, checkout.ErrNotListed):
		return no(wire.KindNeedsReview, "The provider's charges for this payment could not be listed completely, so whether it holds money is unknown. The operator was alerted; nothing was charged.")
	case errors.Is(err, checkout.ErrNeedsReview):
		return no(wire.KindNeedsReview, "The provider contradicts the stored outcome of this payment. The operator was alerted.")
	case errors.As(err, &away):
		return unavailable(away)
	case errors.As(err, &ends):
		return no(wire.KindAlertEndsOtherwise, "What ends an alert of this kind: "+ends.Kind.EndedBy()+".")
	case errors.Is(err, alerts.ErrResolved):
		return no(wire.KindAlertResolved, "This alert is resolved, or what was asked for is under way.")
	case errors.Is(err, retry.ErrNoLetter), errors.Is(err, alerts.ErrNoAlert):
		return errNotFound
	case errors.Is(err, retry.ErrClosed):
		return no(wire.KindLetterClosed, "This dead letter is closed. GET it to read what was decided, by whom and why.")
	case errors.Is(err, retry.ErrSent):
		return no(wire.KindLetterSent, "No replay of this letter waits.")
	case errors.Is(err, delivery.ErrSent):
		return no(wire.KindLetterSent, "Nothing that was sent again for that consumer and time waits.")
	case errors.Is(err, outbox.ErrQueue):
		return no(wire.KindQueueUnavailable, "The consumer's queue is gone, or takes no messages at the moment. Nothing was sent.")
	case errors.Is(err, delivery.ErrTooOld):
		return no(wire.KindLetterTooOld, "The time begins before the replay limit.")
	case errors.Is(err, retry.ErrTooOld):
		return no(wire.KindLetterTooOld, "The event is past the replay limit. Apply it by its business key, or discard it.")
	case errors.Is(err, retry.ErrReplayable):
		return no(wire.KindLetterReplayable, "The event is within the replay limit: replay it, and the inbox dedupes.")
	case errors.Is(err, retry.ErrUnreadable):
		return no(wire.KindLetterUnreadable, "The message does not say which event it is. It can only be discarded.")
	case errors.Is(err, retry.ErrNoBusinessKey):
		return no(wire.KindLetterNoBusinessKey, "The consumer's effects have no business key. It can only be discarded.")
	case errors.Is(err, once.ErrCommitUnknown):
		return unavailable(&checkout.UnavailableError{Executed: "unknown", RetryAfter: time.Second, Cause: err})
	case noDay(err), once.Unavailable(err), once.Canceled(err), once.LockTimeout(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(&checkout.UnavailableError{Executed: "no", RetryAfter: time.Second, Cause: err})
	}
	return no(wire.KindInternal, "Something is wrong on our side. Ask again with the same key; the request id finds this in our logs.")
}

func reused(e *idempotency.MismatchError) *refusal {
	r := no(wire.KindKeyReused, "This Idempotency-Key was used for another request.")
	if len(e.Pointers) == 0 {
		r.detail = "This Idempotency-Key was used for another operation."
	}
	for _, pointer := range e.Pointers {
		place := wire.ProblemError{Pointer: &pointer, Detail: "differs from the first request with this key"}
		if pointer == "/id" { // the path's, not the body's
			name := "payment_id"
			place.Pointer, place.Parameter = nil, &name
		}
		r.places = append(r.places, place)
	}
	return r
}

func unavailable(e *checkout.UnavailableError) *refusal {
	r := no(wire.KindUnavailable, "The database is away. Ask again with the same key.")
	switch {
	case noDay(e.Cause):
		r = no(wire.KindUnavailable, "The database has no place for the events of today or tomorrow. The operator was alerted. Ask again with the same key.")
	case once.Canceled(e.Cause), once.LockTimeout(e.Cause):
		r = no(wire.KindUnavailable, "The database did not answer in time. Ask again with the same key.")
	case errors.Is(e.Cause, provider.ErrNotSent):
		r = no(wire.KindProviderUnavailable, "The provider could not be reached; nothing was sent and the card was not charged.")
	case errors.Is(e.Cause, provider.ErrRefused):
		r = no(wire.KindProviderRefused, "The provider rejected the request; the card was not charged. The operator was alerted.")
	}
	r.retryAfter, r.executed = e.RetryAfter, wire.ProblemExecuted(e.Executed)
	return r
}

func noDay(err error) bool {
	_, missing := postgres.NoPartition(err)
	return missing
}

// alarm alerts the operator to a day without a partition, outside of the
// transaction that failed of it.
func (s *server) alarm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := retention.WatchDays(ctx, s.DB); err != nil {
		s.Log.Warn("an alert cannot be written", "error", err)
	}
}

// refuse writes a problem document and ends the chain.
func (s *server) refuse(c *gin.Context, err error) {
	if once.MissingReference(err) {
		// An empty sandbox was removed just now; asked again, it is made again.
		s.sandboxes.disbelieve(caller.From(c.Request.Context()).Merchant)
		err = &checkout.UnavailableError{Executed: "no", RetryAfter: time.Second, Cause: err}
	}
	r := refusalOf(err)
	if r.kind.Status == http.StatusInternalServerError {
		s.Log.Error("internal error", "request_id", requestID(c.Request.Context()), "route", c.FullPath(), "error", err)
	}
	if r.kind.Status == http.StatusServiceUnavailable {
		s.Log.Warn("unavailable", "request_id", requestID(c.Request.Context()), "route", c.FullPath(), "error", err)
	}
	if noDay(err) {
		s.alarm(c.Request.Context())
	}
	if c.Writer.Written() {
		c.Abort()
		return
	}
	if r.retryAfter > 0 {
		c.Header("Retry-After", seconds(r.retryAfter))
	}
	d := r.kind.Document(c.Request.URL.Path, r.detail)
	id := requestID(c.Request.Context())
	d.RequestID = &id
	if len(r.places) > 0 {
		d.Errors = &r.places
	}
	if r.executed != "" {
		d.Executed = &r.executed
	}
	if next := r.kind.RetryKey(); keyed(c) && next != "" {
		d.RetryKey = &next
	}
	c.Abort()
	c.Data(r.kind.Status, wire.ProblemJSON, wire.Encode(d))
}

// keyed says whether what was asked for needs an Idempotency-Key; a request that
// met no route asked for nothing.
func keyed(c *gin.Context) bool {
	op := operationOf(c)
	return op != nil && op.keyed
}

// broken is told when a response could not be written: the client has gone, or
// the response does not encode. Either way there is nobody to answer.
func (s *server) broken(c *gin.Context, err error) {
	s.Log.Debug("response not written", "request_id", requestID(c.Request.Context()), "route", c.FullPath(), "error", err)
	if !c.Writer.Written() {
		s.refuse(c, err)
	}
}

func (s *server) noRoute(c *gin.Context) {
	if s.servePage(c) {
		return
	}
	s.refuse(c, errNotFound)
}

func (s *server) noMethod(c *gin.Context) {
	s.refuse(c, no(wire.KindMethodNotAllowed, "Use one of: "+strings.Join(c.Writer.Header().Values("Allow"), ", ")+"."))
}

// recovered turns a panic into a problem document. The transaction it happened
// in was rolled back on its way here.
func (s *server) recovered(c *gin.Context) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			s.Log.Error("panic", "request_id", requestID(c.Request.Context()), "route", c.FullPath(), "cause", cause)
			s.refuse(c, no(wire.KindInternal, "Something is wrong on our side. The request id finds this in our logs."))
		}
	}()
	c.Next()
}

// seconds rounds up: who comes back too early was told wrong.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
