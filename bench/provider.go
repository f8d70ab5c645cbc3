package main

import (
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// instant is a card provider that answers at once. It speaks the simulator's
// HTTP, remembers its keys like any provider, and has no books to write: what
// is left of a capture's time is ours.
type instant struct {
	server *http.Server
	URL    string

	mu      sync.Mutex
	charges map[string]charge // by key
}

type charge struct {
	ID             string `json:"id"`
	Reference      string `json:"reference"`
	IdempotencyKey string `json:"idempotency_key"`
	AmountMinor    int64  `json:"amount_minor"`
	Currency       string `json:"currency"`
	Status         string `json:"status"`
	CreatedAt      string `json:"created_at"`
}

func newInstant() (*instant, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens for as long as the line takes
	if err != nil {
		return nil, err
	}
	p := &instant{URL: "http://" + listener.Addr().String(), charges: map[string]charge{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", p.charge)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *instant) charge(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	c := charge{ID: "ch_" + uuid.NewString(), IdempotencyKey: key, Status: "succeeded", CreatedAt: time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || key == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	if before, replayed := p.charges[key]; replayed {
		c = before
	}
	p.charges[key] = c
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(c)
}

// count is how many charges there are.
func (p *instant) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.charges)
}
