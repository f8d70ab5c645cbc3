package bursts

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"payonce/api"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
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
	// Points are the crash points there are, and Actions what can happen there;
	// Faults arms them. The build tag lab decides whether they exist, so they
	// come from outside.
	Points, Actions []string
	Faults          Faults
	Log             *slog.Logger
}

// routes answers api/lab.yaml.
type routes struct {
	Options
	shop    *client.Client
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &routes{
		Options: o, tokens: caller.NewTokens(o.Secret, ""), schemas: doc.Components.Schemas,
		// A connection for each click of a burst.
		shop: client.New(o.PublicURL, "", client.Options{UserAgent: UserAgent, Timeout: 40 * time.Second, Idle: 128, Longest: 1 << 20}),
	}
	offered := map[string]map[string]http.HandlerFunc{
		"/v1/lab/bursts":    {http.MethodPost: r.fire},
		"/v1/lab/expire":    {http.MethodPost: r.expire},
		"/v1/lab/faults":    {http.MethodGet: r.faults, http.MethodPost: r.arm, http.MethodDelete: r.disarm},
		"/v1/lab/mailbox":   {http.MethodGet: r.mails},
		"/v1/lab/poison":    {http.MethodPost: r.poison},
		"/v1/lab/redeliver": {http.MethodPost: r.redeliver},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		methods, known := offered[q.URL.Path]
		if !known {
			reply.Refuse(w, q, wire.KindNotFound, "The laboratory has nothing by that name.")
			return
		}
		handler, allowed := methods[q.Method]
		if !allowed {
			for name := range methods {
				w.Header().Add("Allow", name)
			}
			reply.Refuse(w, q, wire.KindMethodNotAllowed, "Use one of the methods in Allow.")
			return
		}
		if caller.From(q.Context()).Merchant == uuid.Nil {
			reply.Refuse(w, q, wire.KindOperatorRequired, "The laboratory works for one sandbox; the operator has none.")
			return
		}
		handler(w, q)
	})
}
