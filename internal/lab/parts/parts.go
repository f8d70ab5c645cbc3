// Package parts is the way from the X-ray to what a house of several consists of:
// which parts there are, whether each runs, and a hand that kills one.
//
// Only the program that started the parts knows them, and it outlives all of them:
// it opens a door on loopback ([Handler]), and each api of a lab build hands
// visitors on to it ([Proxy]). Whoever may arm a crash point there may kill a part
// here: a demo's supervisor starts it again.
package parts

import (
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
)

// Route is where the parts are, and below it each of them.
const Route = "/v1/lab/parts"

// Part is something that runs.
type Part struct {
	// Name tells it from others, Of is which box of the X-ray it stands in.
	Name string `json:"name"`
	Of   string `json:"of"`
	// Role is what it is of a pair, "primary" or "standby"; empty for others.
	Role string `json:"role"`
	// State is "up" or "down".
	State string `json:"state"`
}

// House is what knows its parts.
type House interface {
	Parts() []Part
	// Kill ends a part with SIGKILL, and says whether it ran.
	Kill(name string) bool
}

type list struct {
	Data []Part `json:"data"`
}

// Handler is the door of a house, for those who know the token.
func Handler(house House, token string) http.Handler {
	inside := open(house)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if subtle.ConstantTimeCompare([]byte(q.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
			reply.Refuse(w, q, wire.KindAuthenticationRequired, "This door is the api's.")
			return
		}
		inside.ServeHTTP(w, q)
	})
}

func open(house House) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Route, func(w http.ResponseWriter, _ *http.Request) {
		reply.JSON(w, http.StatusOK, list{Data: house.Parts()})
	})
	mux.HandleFunc("POST "+Route+"/{name}/kill", func(w http.ResponseWriter, q *http.Request) {
		if !house.Kill(q.PathValue("name")) {
			reply.Refuse(w, q, wire.KindNotFound, "No such part runs at the moment.")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// single is a house whose parts are not told apart.
type single struct{}

func (single) Parts() []Part    { return []Part{} }
func (single) Kill(string) bool { return false }

// Proxy hands visitors on to the door at address. Without an address there are no
// parts to be seen.
func Proxy(address, token string, log *slog.Logger) (http.Handler, error) {
	if address == "" {
		return open(single{}), nil
	}
	target, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: client.Transport(client.Options{Idle: 4}),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Cookie")
			p.Out.Header.Set("Authorization", "Bearer "+token)
		},
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			log.Warn("the house's parts cannot be asked for", "error", err)
			w.Header().Set("Retry-After", "1")
			reply.Refuse(w, q, wire.KindUnavailable, "What started this shop is away.")
		},
	}, nil
}
