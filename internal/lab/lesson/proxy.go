package lesson

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
)

// Proxy is the api's end of the way to the runner: it hands the laboratory's
// questions about lessons on, as the sandbox that the edge has recognised.
// Whether that was by a cookie or by a key the runner does not see.
func Proxy(runner string, secret []byte, log *slog.Logger) (http.Handler, error) {
	target, err := url.Parse(runner)
	if err != nil {
		return nil, err
	}
	tokens := caller.NewTokens(secret, "")
	forward := &httputil.ReverseProxy{
		Transport: client.Transport(client.Options{Idle: 8}),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			// The edge has asked whose page it was; the runner takes a program's word only.
			for _, name := range []string{"Cookie", "Origin", "Sec-Fetch-Site"} {
				p.Out.Header.Del(name)
			}
			p.Out.Header.Set("Authorization", "Bearer "+tokens.APIKey(caller.From(p.In.Context()).Merchant))
		},
		ModifyResponse: func(res *http.Response) error {
			// The edge has set its own; two of each would contradict each other.
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"} {
				res.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			log.Warn("the runner of lessons cannot be reached", "error", err)
			w.Header().Set("Retry-After", "1")
			reply.Refuse(w, q, wire.KindUnavailable, "The runner of lessons is away; it is part of the simulator. What it has written down is kept.")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if caller.From(q.Context()).Merchant == uuid.Nil {
			reply.Refuse(w, q, wire.KindOperatorRequired, "A lesson plays in one sandbox; the operator has none.")
			return
		}
		if id := w.Header().Get("X-Request-Id"); id != "" {
			q.Header.Set("X-Request-Id", id)
		}
		forward.ServeHTTP(w, q)
	}), nil
}

// Routes are the paths, and what lies below them, that [Proxy] hands on.
var Routes = []string{"/v1/lab/lessons", "/v1/lab/lesson-runs", "/v1/lab/explain"}
