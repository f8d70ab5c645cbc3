package lesson_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/caller"
	"payonce/internal/lab/lesson"
)

// The runner refuses pages, because the edge has judged them; what the edge hands on is
// a program's request.
func TestTheRunnerIsAskedByAProgramWhateverPageItWas(t *testing.T) {
	t.Parallel()
	var seen http.Header
	runner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	t.Cleanup(runner.Close)
	proxy, err := lesson.Proxy(runner.URL, []byte("secret"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	who := caller.With(t.Context(), caller.Caller{Merchant: uuid.New()})
	r := httptest.NewRequestWithContext(who, http.MethodPost, "/v1/lab/lessons/double-click/runs", nil)
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Cookie"} {
		r.Header.Set(name, "http://127.0.0.1")
	}
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Cookie"} {
		require.Empty(t, seen.Get(name), name)
	}
	require.NotEmpty(t, seen.Get("Authorization"))
}
