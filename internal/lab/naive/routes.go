package naive

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"payonce/api"
	"payonce/internal/edge/audit"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/client"
	"payonce/internal/lab/faults"
	"payonce/internal/lab/reply"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
	"payonce/once/idempotency"
	"payonce/once/retry"
)

// Mailbox counts mails where they arrive.
type Mailbox interface {
	MailsTo(ctx context.Context, recipient string) ([]audit.Mail, error)
}

// Faults arms crash points of the real shop.
type Faults interface {
	Arm(ctx context.Context, f faults.Fault) (faults.Fault, error)
}

// Options wires the routes.
type Options struct {
	Postgres  postgres.Config
	AMQPURL   []string
	Schedule  retry.Schedule
	Gateway   Gateway
	Mailbox   Mailbox
	Faults    Faults
	PublicURL string // the address under which the shop is called from outside
	Secret    []byte
	Log       *slog.Logger
}

// Routes are the paths that [New] answers; those that end in a slash, all below.
var Routes = []string{"/v1/lab/naive/", "/v1/lab/guards", "/v1/lab/guards/", "/v1/lab/compare"}

// routes answers its part of api/lab.yaml.
type routes struct {
	*Shop
	o       Options
	tokens  *caller.Tokens
	schemas openapi3.Schemas
	client  *client.Client
}

// New makes the handler of [Routes]. The caller must already be in the request's
// context (see package caller).
func New(ctx context.Context, o Options) (http.Handler, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Lab)
	if err != nil {
		return nil, err
	}
	shop, err := newShop(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &routes{
		Shop: shop, o: o, tokens: caller.NewTokens(o.Secret, ""), schemas: doc.Components.Schemas,
		client: client.New(o.PublicURL, "", client.Options{UserAgent: bursts.UserAgent, Timeout: 40 * time.Second, Idle: 64, Longest: 1 << 20}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/lab/naive/checkouts", r.place)
	mux.HandleFunc("GET /v1/lab/naive/checkouts/{id}", r.look)
	mux.HandleFunc("GET /v1/lab/naive/checkouts/{id}/bill", r.bill)
	mux.HandleFunc("POST /v1/lab/naive/checkouts/{id}/capture", r.click)
	mux.HandleFunc("POST /v1/lab/naive/checkouts/{id}/refund", r.giveBack)
	mux.HandleFunc("POST /v1/lab/naive/checkouts/{id}/webhook", r.hook)
	mux.HandleFunc("GET /v1/lab/guards", r.guards)
	mux.HandleFunc("POST /v1/lab/guards/{slug}/trials", r.try)
	mux.HandleFunc("POST /v1/lab/compare", r.compare)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.serve(mux, w, q) }), nil
}

// serve refuses in problem documents, which the mux does not know.
func (r *routes) serve(mux *http.ServeMux, w http.ResponseWriter, q *http.Request) {
	if _, pattern := mux.Handler(q); pattern == "" {
		reply.Refuse(w, q, wire.KindNotFound, "The laboratory has nothing by that name and method.")
		return
	}
	if caller.From(q.Context()).Merchant == uuid.Nil {
		reply.Refuse(w, q, wire.KindOperatorRequired, "The laboratory works for one sandbox; the operator has none.")
		return
	}
	if r.o.Mailbox == nil {
		reply.Refuse(w, q, wire.KindNotFound, "This build knows no mailbox, and so cannot count.")
		return
	}
	if err := r.ready(q.Context()); err != nil {
		r.unavailable(w, q, "the naive tables", err)
		return
	}
	mux.ServeHTTP(w, q)
}

func (r *routes) unavailable(w http.ResponseWriter, q *http.Request, what string, err error) {
	r.log.Warn("the naive shop is away", "what", what, "error", err)
	reply.Refuse(w, q, wire.KindUnavailable, "Something that the naive shop needs is away: "+what+".")
}

type checkoutView struct {
	ID          string   `json:"id"`
	Guards      []string `json:"guards"`
	Quantity    int      `json:"quantity"`
	AmountMinor int64    `json:"amount_minor"`
	Currency    string   `json:"currency"`
	Email       string   `json:"email"`
	Status      string   `json:"status"`
	Refund      string   `json:"refund"`
	Bill        Bill     `json:"bill"`
}

// view shows a checkout with its bill.
func (r *routes) view(ctx context.Context, c checkout) (checkoutView, error) {
	n, err := r.count(ctx, r.o.Mailbox, c)
	return checkoutView{
		ID: c.name(), Guards: append([]string{}, c.Guards...), Quantity: c.Quantity, AmountMinor: c.AmountMinor, Currency: c.Currency,
		Email: c.Email, Status: c.Status, Refund: c.Refund, Bill: billOf(n, due(c, n), countedBy("naive shop")),
	}, err
}

// place is POST /v1/lab/naive/checkouts.
func (r *routes) place(w http.ResponseWriter, q *http.Request) {
	var asked struct {
		Guards   string `json:"guards"`
		But      Guard  `json:"but"`
		Quantity int    `json:"quantity"`

		Troubles []Trouble `json:"troubles"`
	}
	if !reply.Read(w, q, r.schemas["NaiveCheckoutRequest"].Value, &asked) {
		return
	}
	set, err := Preset(asked.Guards, asked.But)
	if err != nil {
		pointer := "/but"
		reply.Refuse(w, q, wire.KindInvalidRequest, "Guards come as presets; errors[] names the place.", wire.ProblemError{Pointer: &pointer, Detail: err.Error()})
		return
	}
	if asked.Quantity == 0 {
		asked.Quantity = 2
	}
	c, err := place(q.Context(), r.db, caller.From(q.Context()).Merchant, set, asked.Quantity, asked.Troubles...)
	if err != nil {
		r.unavailable(w, q, "the database", err)
		return
	}
	r.show(w, q, http.StatusCreated, c)
}

func (r *routes) show(w http.ResponseWriter, q *http.Request, status int, c checkout) {
	view, err := r.view(q.Context(), c)
	if err != nil {
		r.unavailable(w, q, "who counts", err)
		return
	}
	reply.JSON(w, status, view)
}

// mine loads the checkout that the path names; not ok means refused.
func (r *routes) mine(w http.ResponseWriter, q *http.Request) (c checkout, ok bool) {
	id, valid := prefix.Parse(q.PathValue("id"))
	err := errNoCheckout
	if valid {
		c, err = load(q.Context(), r.db, caller.From(q.Context()).Merchant, id)
	}
	switch {
	case errors.Is(err, errNoCheckout):
		reply.Refuse(w, q, wire.KindNotFound, "There is no such naive checkout.")
	case err != nil:
		r.unavailable(w, q, "the database", err)
	}
	return c, err == nil
}

// look is GET /v1/lab/naive/checkouts/{id}.
func (r *routes) look(w http.ResponseWriter, q *http.Request) {
	if c, ok := r.mine(w, q); ok {
		r.show(w, q, http.StatusOK, c)
	}
}

// bill is GET /v1/lab/naive/checkouts/{id}/bill.
func (r *routes) bill(w http.ResponseWriter, q *http.Request) {
	c, ok := r.mine(w, q)
	if !ok {
		return
	}
	view, err := r.view(q.Context(), c)
	if err != nil {
		r.unavailable(w, q, "who counts", err)
		return
	}
	reply.JSON(w, http.StatusOK, view.Bill)
}

// click is POST /v1/lab/naive/checkouts/{id}/capture.
func (r *routes) click(w http.ResponseWriter, q *http.Request) {
	var asked wire.CaptureRequest
	if !reply.Read(w, q, r.schemas["NaiveCaptureRequest"].Value, &asked) {
		return
	}
	key := ""
	if values := q.Header.Values("Idempotency-Key"); len(values) > 0 {
		var err error
		if key, err = idempotency.ParseKey(values); err != nil {
			reply.Refuse(w, q, wire.KindKeyInvalid, "The Idempotency-Key cannot be read.")
			return
		}
	}
	c, ok := r.mine(w, q)
	if !ok {
		return
	}
	a, err := r.capture(q.Context(), c, click{key: key, paid: money.Of(asked.AmountMinor, asked.Currency), card: asked.CardToken})
	if err == nil && strikes(q.Context(), r.db, c.ID, LoseAnswer) {
		err = errEnded
	}
	var mismatch *idempotency.MismatchError
	switch {
	case errors.Is(err, errEnded):
		panic(http.ErrAbortHandler) // net/http's way to hang up without a word
	case errors.Is(err, errAmount):
		reply.Refuse(w, q, wire.KindAmountMismatch, "The amount is not the checkout's.")
	case errors.Is(err, errKey):
		reply.Refuse(w, q, wire.KindKeyMissing, "This checkout has the guard key: send an Idempotency-Key.")
	case errors.As(err, &mismatch):
		reply.Refuse(w, q, wire.KindKeyReused, "This Idempotency-Key was used for another request.")
	case errors.Is(err, errBusy):
		reply.Refuse(w, q, wire.KindKeyInProgress, "A twin of this click is at it. Ask again.")
	case err != nil:
		r.log.Info("a naive capture failed", "checkout", c.name(), "error", err)
		reply.Refuse(w, q, wire.KindInternal, "The payment failed, says the naive shop. It does not know.")
	default:
		w.Header().Set("Content-Type", a.ContentType)
		if a.Matched != "" {
			w.Header().Set("Payonce-Matched", a.Matched)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	}
}

// giveBack is POST /v1/lab/naive/checkouts/{id}/refund.
func (r *routes) giveBack(w http.ResponseWriter, q *http.Request) {
	c, ok := r.mine(w, q)
	if !ok {
		return
	}
	state, err := r.refund(q.Context(), c)
	switch {
	case errors.Is(err, errNotCaptured):
		reply.Refuse(w, q, wire.KindNotCaptured, "There is nothing to give back, or it was asked for already.")
		return
	case err != nil:
		r.unavailable(w, q, "the database", err)
		return
	}
	status := map[string]int{"asked": http.StatusAccepted, "failed": http.StatusBadGateway}[state]
	if status == 0 {
		status = http.StatusOK
	}
	reply.JSON(w, status, map[string]any{"id": c.name(), "refund": state})
}

// guards is GET /v1/lab/guards.
func (r *routes) guards(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, map[string]any{"data": Guards})
}
