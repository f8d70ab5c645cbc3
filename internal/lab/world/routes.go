package world

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"payonce/internal/platform/httpserver"
)

// Handler is everything the world offers over HTTP.
func (w *World) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/charges", methods{
		"GET": w.provider("charges", w.getCharges), "POST": w.provider("charge", w.postCharge)})
	mux.Handle("/v1/charges/cancel", methods{"POST": w.provider("cancel", w.postCancel)})
	mux.Handle("/v1/charges/{id}", methods{"GET": w.provider("charges", w.getCharge)})
	mux.Handle("/v1/refunds", methods{
		"GET": w.provider("refunds", w.getRefunds), "POST": w.provider("refund", w.postRefund)})
	mux.Handle("/v1/balance", methods{"GET": w.provider("balance", w.getBalance)})
	mux.Handle("/v1/webhook-deliveries", methods{"GET": w.getDeliveries})
	mux.Handle("/v1/behaviour", methods{"GET": w.getBehaviour, "POST": w.postBehaviour})
	mux.Handle("/mailbox/messages", methods{"GET": w.getMessages})
	mux.Handle("/mailbox/messages/{id}", methods{"GET": w.getMessage})
	// run.json names the page /mailbox as mailbox_url: whoever takes that for the
	// base of this API finds the messages too.
	mux.Handle("/mailbox/mailbox/", http.StripPrefix("/mailbox", mux))
	mux.Handle("/healthz", methods{"GET": w.getHealth})
	mux.Handle("/{$}", methods{"GET": w.showHome})
	mux.Handle("/mailbox", methods{"GET": w.showMailbox})
	mux.Handle("/webhooks", methods{"GET": w.showWebhooks})
	mux.Handle("/mailbox/{id}", methods{"GET": w.showMessage})
	mux.Handle("/style.css", methods{"GET": showAsset("style.css", "text/css; charset=utf-8")})
	mux.Handle("/favicon.svg", methods{"GET": showAsset("favicon.svg", "image/svg+xml")})
	if w.options.Lab != nil {
		mux.Handle("/v1/lab/", ofPrograms(w.options.Lab))
	}
	mux.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) { writeError(rw, errNotFound) })
	return secure(w.named(mux))
}

// named refuses requests for another server's name. The world asks nobody who it
// is, so a page whose name was pointed at this machine could read every mailbox.
func (w *World) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !httpserver.Ours(r.Host, w.options.Hosts) {
			writeError(rw, errMisdirected)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// ofPrograms refuses a page, of whatever site: the shop's api plays the lessons here,
// and has asked whose page it was. Programs send neither header.
func ofPrograms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			writeError(rw, errOfAPage)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// methods is what one path offers. ServeMux could tell methods apart too, but
// would answer 405 in plain text.
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	if handler, offered := m[method]; offered {
		handler(rw, r)
		return
	}
	allow := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	rw.Header().Set("Allow", allow)
	writeError(rw, &apiError{status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Message: "This path offers " + allow + "."})
}

// provider wraps a call of the card provider: the test's look at the caller,
// then the door, then the mood of the world.
func (w *World) provider(kind string, handler http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		w.options.OnCall(kind)
		if given := r.Header.Get("Authorization"); given != "" {
			scheme, key, _ := strings.Cut(given, " ")
			if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "" {
				writeError(rw, errUnauthorized)
				return
			}
		}
		if w.meet(rw, r) {
			handler(rw, r)
		}
	}
}

// getHealth is GET /healthz: 200 while the books can be read.
func (w *World) getHealth(rw http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := w.books.db.PingContext(ctx); err != nil {
		w.logUnexpected("health", err)
		writeJSON(rw, http.StatusServiceUnavailable, map[string]string{"status": "database away"})
		return
	}
	writeJSON(rw, http.StatusOK, map[string]string{"status": "ok"})
}

// secure sets the headers that keep hostile mail harmless: no script runs
// here, and nobody guesses a type.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		header := rw.Header()
		header.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(rw, r)
	})
}
