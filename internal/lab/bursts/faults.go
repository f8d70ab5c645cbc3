package bursts

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
)

// points is GET /v1/lab/faults.
func (r *routes) points(w http.ResponseWriter, _ *http.Request) {
	list := r.Points
	if list == nil {
		list = []string{}
	}
	answer(w, http.StatusOK, map[string]any{"data": list})
}

type faultView struct {
	Point  string `json:"point"`
	Action string `json:"action"`
	Scope  string `json:"scope"`
	Nth    int    `json:"nth"`
}

const ownsSQL = `SELECT count(*) FROM payments WHERE id = $1 AND merchant_id = $2`

// arm is POST /v1/lab/faults. A fault is always limited to the caller's own
// sandbox: others who work on the same process may meet its death, but only the
// caller's requests bring it about.
func (r *routes) arm(w http.ResponseWriter, q *http.Request) {
	body, ok := r.read(w, q, "FaultRequest")
	if !ok {
		return
	}
	var asked struct {
		Point     string `json:"point"`
		Action    string `json:"action"`
		PaymentID string `json:"payment_id"`
		Nth       int    `json:"nth"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		refuse(w, q, wire.KindInvalidRequest, "The body does not fit the contract.")
		return
	}
	merchant := caller.From(q.Context()).Merchant
	scope, name := merchant, wire.PrefixMerchant.ID(merchant)
	if asked.PaymentID != "" {
		id, valid := wire.PrefixPayment.Parse(asked.PaymentID)
		if !valid || !r.owns(w, q, merchant, id) {
			return
		}
		scope, name = id, asked.PaymentID
	}
	asked.Nth = max(asked.Nth, 1)
	if r.Arm == nil {
		refuse(w, q, wire.KindNotFound, "This build has no crash points.")
		return
	}
	if err := r.Arm(asked.Point, asked.Action, scope, asked.Nth); err != nil {
		pointer := "/point"
		refuse(w, q, wire.KindInvalidRequest, "There is no such crash point; GET /v1/lab/faults lists them.",
			wire.ProblemError{Pointer: &pointer, Detail: "is none of the points there are"})
		return
	}
	answer(w, http.StatusAccepted, faultView{Point: asked.Point, Action: asked.Action, Scope: name, Nth: asked.Nth})
}

// owns answers for the caller when the payment is not its own.
func (r *routes) owns(w http.ResponseWriter, q *http.Request, merchant, payment uuid.UUID) bool {
	var n int
	if err := r.DB.Get(q.Context(), &n, ownsSQL, payment, merchant); err != nil {
		refuse(w, q, wire.KindUnavailable, "The database is away.")
		return false
	}
	if n == 0 {
		refuse(w, q, wire.KindNotFound, "There is no such payment.")
	}
	return n == 1
}
