package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"payonce/internal/platform/httpserver"
)

// Check is a named dependency of readiness; nil means it is there.
type Check struct {
	Name string
	Ask  func(ctx context.Context) error
}

// Admin serves /healthz, /readyz and /metrics for a process that has no other
// HTTP server.
type Admin struct {
	Registry *prometheus.Registry
	Checks   []Check
	Log      *slog.Logger
}

// Handler returns the three routes.
func (a Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, body := Ready(r.Context(), a.Checks)
		reply(w, status, body)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{}))
	profiler(mux)
	return mux
}

// Ready asks every check, at most a second each, and says what is missing.
func Ready(ctx context.Context, checks []Check) (int, map[string]string) {
	body := map[string]string{"status": "ready"}
	status := http.StatusOK
	for _, c := range checks {
		asked, cancel := context.WithTimeout(ctx, time.Second)
		err := c.Ask(asked)
		cancel()
		if err != nil {
			status, body["status"], body[c.Name] = http.StatusServiceUnavailable, "not ready", "unavailable"
			continue
		}
		body[c.Name] = "ok"
	}
	return status, body
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Run serves until ctx ends.
func (a Admin) Run(ctx context.Context, listen string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	a.Log.Info("admin server", "url", "http://"+l.Addr().String())
	s := httpserver.New(a.Handler(), httpserver.Limits{}, a.Log)
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
