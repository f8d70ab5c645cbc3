package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
)

// operations are the keyed ones and how the journal calls them.
var operations = map[string]string{"placeOrder": "order", "capturePayment": "capture", "requestRefund": "refund"}

// attemptNote is what a handler tells about the attempt it answers. Nobody else
// writes to it while the handler runs.
type attemptNote struct {
	fate    checkout.Fate
	payment uuid.UUID
	// observed says that the observer has how it ended.
	observed bool
}

// noteAttempt journals each delivery of an intent after its answer, whatever
// the answer was. It stands behind authentication: an attempt is somebody's.
func (s *server) noteAttempt(c *gin.Context) {
	name, keyed := operations[operationOf(c).id]
	if !keyed {
		return
	}
	began, note := s.Now(), &attemptNote{}
	with(c, attemptKey, note)
	c.Next()

	ctx := c.Request.Context()
	fate := fateOf(note, c.Writer.Status())
	who := caller.From(ctx)
	if fate == checkout.Rejected && !note.observed && key(ctx) != "" {
		s.tell(ctx, observe.Rejected, observe.Event{Scope: who.Merchant, Correlation: note.payment, Operation: name, Key: key(ctx), Detail: http.StatusText(c.Writer.Status())})
	}
	s.Journal.Attempt(journal.Attempt{
		Merchant: who.Merchant, Payment: note.payment, Operation: name, Key: key(ctx), Fate: string(fate),
		Status: c.Writer.Status(), Latency: s.Now().Sub(began), TraceID: telemetry.TraceID(ctx), At: began,
	})
}

const interrupted checkout.Fate = "interrupted"

// fateOf gives an attempt that no handler has spoken for its fate by its answer.
func fateOf(note *attemptNote, status int) checkout.Fate {
	switch {
	case note.fate != "":
		return note.fate
	case status >= http.StatusInternalServerError:
		return interrupted
	}
	return checkout.Rejected
}

// received tells that an intent was delivered once more. A payment is named only
// when its id can be one; whether it is this merchant's is not known yet, and
// does not matter: the event is shown to this merchant alone. Who comes with a
// cookie is a browser; with an API key it is a program, drawn as the gateway.
func (s *server) received(c *gin.Context, k string) {
	node := "browser"
	if c.GetHeader("Authorization") != "" {
		node = "gateway"
	}
	e := observe.Event{Node: node, Scope: caller.From(c.Request.Context()).Merchant, Operation: operations[operationOf(c).id], Key: k}
	if id, ok := wire.PrefixPayment.Parse(c.Param("payment_id")); ok {
		e.Correlation = id
	}
	s.tell(c.Request.Context(), observe.AttemptReceived, e)
}

func (s *server) tell(ctx context.Context, kind observe.Kind, e observe.Event) {
	if e.Node == "" {
		e.Node = "api"
	}
	e.Kind, e.At = kind, s.Now()
	s.Journal.Observe(ctx, e)
}

// note is where a handler writes its attempt's fate.
func note(ctx context.Context) *attemptNote {
	if n, ok := ctx.Value(attemptKey).(*attemptNote); ok {
		return n
	}
	return &attemptNote{}
}
