package bursts

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"payonce/api"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
)

// Options is what the laboratory's routes need.
type Options struct {
	// PublicURL is the address under which the shop is called from outside.
	PublicURL string
	// Secret is the one all processes share: sandboxes' API keys are made of it.
	Secret []byte
	DB     *postgres.DB
	// Mailbox is where mails arrive; nil means that nobody knows.
	Mailbox *Mailbox
	// Points are the crash points there are; Arm arms one of them. The build tag
	// lab decides whether they exist, so they come from outside.
	Points []string
	Arm    func(point, action string, scope uuid.UUID, nth int) error
	// Client sends the bursts; nil means one made for many connections at once.
	Client *http.Client
	Log    *slog.Logger
}

// routes answers api/lab.yaml.
type routes struct {
	Options
	tokens  *caller.Tokens
	schemas openapi3.Schemas
}

// New makes the handler of everything below /v1/lab. The caller must already be
// in the request's context (see package caller).
func New(o Options) http.Handler {
	doc, err := openapi3.NewLoader().LoadFromData(api.Lab)
	if err != nil {
		panic("bursts: the embedded contract cannot be read: " + err.Error())
	}
	if o.Client == nil {
		o.Client = manyAtOnce()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &routes{Options: o, tokens: caller.NewTokens(o.Secret, ""), schemas: doc.Components.Schemas}
	offered := map[string]map[string]http.HandlerFunc{
		"/v1/lab/bursts":  {http.MethodPost: r.fire},
		"/v1/lab/faults":  {http.MethodGet: r.points, http.MethodPost: r.arm},
		"/v1/lab/mailbox": {http.MethodGet: r.mails},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		methods, known := offered[q.URL.Path]
		if !known {
			refuse(w, q, wire.KindNotFound, "The laboratory has nothing by that name.")
			return
		}
		handler, allowed := methods[q.Method]
		if !allowed {
			for name := range methods {
				w.Header().Add("Allow", name)
			}
			refuse(w, q, wire.KindMethodNotAllowed, "Use one of the methods in Allow.")
			return
		}
		if caller.From(q.Context()).Merchant == uuid.Nil {
			refuse(w, q, wire.KindOperatorRequired, "The laboratory works for one sandbox; the operator has none.")
			return
		}
		handler(w, q)
	})
}

// manyAtOnce keeps a connection for each click of a burst, and never repeats a
// request by itself: a second delivery must be somebody's decision.
func manyAtOnce() *http.Client {
	return &http.Client{
		Timeout:   40 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 10 * time.Second},
	}
}

func refuse(w http.ResponseWriter, r *http.Request, kind wire.Kind, detail string, places ...wire.ProblemError) {
	d := kind.Document(r.URL.Path, detail)
	if id := w.Header().Get("X-Request-Id"); id != "" {
		d.RequestID = &id
	}
	if len(places) > 0 {
		d.Errors = &places
	}
	w.Header().Set("Content-Type", wire.ProblemJSON)
	w.WriteHeader(kind.Status)
	_, _ = w.Write(wire.Encode(d))
}

func answer(w http.ResponseWriter, status int, view any) {
	w.Header().Set("Content-Type", wire.JSON)
	w.WriteHeader(status)
	_, _ = w.Write(wire.Encode(view))
}

// read reads a body as strictly as the shop does; not ok means refused.
func (r *routes) read(w http.ResponseWriter, q *http.Request, schema string) (body []byte, ok bool) {
	if media, _, _ := strings.Cut(q.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != wire.JSON {
		refuse(w, q, wire.KindUnsupportedMediaType, "Send Content-Type: application/json.")
		return nil, false
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		refuse(w, q, wire.KindInvalidRequest, "The body ended early.")
		return nil, false
	}
	found := strictjson.Check(body, r.schemas[schema].Value)
	if found == nil {
		return body, true
	}
	places := make([]wire.ProblemError, 0, len(found))
	for _, v := range found {
		places = append(places, wire.ProblemError{Pointer: &v.Pointer, Detail: v.Detail})
	}
	refuse(w, q, wire.KindInvalidRequest, "The body does not fit the contract; errors[] names each place.", places...)
	return nil, false
}
