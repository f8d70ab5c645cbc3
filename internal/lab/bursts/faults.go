package bursts

import (
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/faults"
	"payonce/internal/lab/reply"
)

// Faults is where crash points are armed, for all processes.
type Faults interface {
	Arm(ctx context.Context, f faults.Fault) (faults.Fault, error)
	Of(ctx context.Context, merchant uuid.UUID) ([]faults.Fault, error)
	Disarm(ctx context.Context, merchant uuid.UUID) (int64, error)
}

type faultView struct {
	Point   string    `json:"point"`
	Action  string    `json:"action"`
	Scope   string    `json:"scope"`
	Nth     int       `json:"nth"`
	ForMS   int64     `json:"for_ms,omitempty"`
	Hits    int       `json:"hits"`
	ArmedAt wire.Time `json:"armed_at"`
}

func viewOf(f faults.Fault) faultView {
	prefix := wire.PrefixPayment
	if f.Scope == f.Merchant {
		prefix = wire.PrefixMerchant
	}
	return faultView{
		Point: f.Point, Action: f.Action, Scope: prefix.ID(f.Scope), Nth: f.Nth, ForMS: f.ForMS, Hits: f.Hits, ArmedAt: wire.At(f.ArmedAt),
	}
}

// faults is GET /v1/lab/faults.
func (r *routes) faults(w http.ResponseWriter, q *http.Request) {
	armed := []faultView{}
	if r.Faults != nil {
		list, err := r.Faults.Of(q.Context(), caller.From(q.Context()).Merchant)
		if err != nil {
			reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
			return
		}
		for _, f := range list {
			armed = append(armed, viewOf(f))
		}
	}
	reply.JSON(w, http.StatusOK, map[string]any{"data": append([]string{}, r.Points...), "actions": append([]string{}, r.Actions...), "armed": armed})
}

// disarm is DELETE /v1/lab/faults.
func (r *routes) disarm(w http.ResponseWriter, q *http.Request) {
	var n int64
	if r.Faults != nil {
		var err error
		if n, err = r.Faults.Disarm(q.Context(), caller.From(q.Context()).Merchant); err != nil {
			reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
			return
		}
	}
	reply.JSON(w, http.StatusOK, map[string]any{"disarmed": n})
}

const ownsSQL = `SELECT count(*) FROM payments WHERE id = $1 AND merchant_id = $2`

// arm is POST /v1/lab/faults. A fault is always limited to the caller's own
// sandbox: others who work on the same process may meet its death, but only the
// caller's requests bring it about.
func (r *routes) arm(w http.ResponseWriter, q *http.Request) {
	var asked struct {
		Point     string `json:"point"`
		Action    string `json:"action"`
		PaymentID string `json:"payment_id"`
		Nth       int    `json:"nth"`
		ForMS     int64  `json:"for_ms"`
	}
	if !reply.Read(w, q, r.schemas["FaultRequest"].Value, &asked) {
		return
	}
	if !slices.Contains(r.Points, asked.Point) || r.Faults == nil {
		pointer := "/point"
		reply.Refuse(w, q, wire.KindInvalidRequest, "There is no such crash point; GET /v1/lab/faults lists them.",
			wire.ProblemError{Pointer: &pointer, Detail: "is none of the points there are"})
		return
	}
	merchant := caller.From(q.Context()).Merchant
	scope := merchant
	if asked.PaymentID != "" {
		id, valid := wire.PrefixPayment.Parse(asked.PaymentID)
		if !valid {
			reply.Refuse(w, q, wire.KindNotFound, "There is no such payment.")
			return
		}
		if !r.owns(w, q, merchant, id) {
			return
		}
		scope = id
	}
	armed, err := r.Faults.Arm(q.Context(), faults.Fault{
		Merchant: merchant, Point: asked.Point, Action: asked.Action, Scope: scope, Nth: max(asked.Nth, 1), ForMS: asked.ForMS,
	})
	if err != nil {
		r.Log.Warn("a fault was not armed", "point", asked.Point, "error", err)
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
		return
	}
	reply.JSON(w, http.StatusAccepted, viewOf(armed))
}

// owns answers for the caller when the payment is not its own.
func (r *routes) owns(w http.ResponseWriter, q *http.Request, merchant, payment uuid.UUID) bool {
	var n int
	if err := r.DB.Get(q.Context(), &n, ownsSQL, payment, merchant); err != nil {
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
		return false
	}
	if n == 0 {
		reply.Refuse(w, q, wire.KindNotFound, "There is no such payment.")
	}
	return n == 1
}
