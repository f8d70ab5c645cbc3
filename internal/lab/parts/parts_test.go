package parts_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/parts"
)

// house is one with a node that runs.
type house struct{ killed []string }

func (*house) Parts() []parts.Part {
	return []parts.Part{{Name: "rabbitmq-2", Of: "rabbitmq", State: "up"}, {Name: "standby", Of: "postgres", Role: "standby", State: "down"}}
}

func (h *house) Kill(name string) bool {
	if name != "rabbitmq-2" {
		return false
	}
	h.killed = append(h.killed, name)
	return true
}

func ask(t *testing.T, handler http.Handler, method, path, authorization string) (status int, body string) {
	t.Helper()
	q := httptest.NewRequest(method, parts.Route+path, http.NoBody)
	q.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, q)
	text, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	return w.Code, strings.TrimSpace(string(text))
}

func TestAVisitorSeesThePartsAndKillsOneByWayOfTheApiAloneWhichKnowsTheToken(t *testing.T) {
	t.Parallel()
	h := &house{}
	door := httptest.NewServer(parts.Handler(h, "the token"))
	t.Cleanup(door.Close)
	api, err := parts.Proxy(door.URL, "the token", slog.New(slog.DiscardHandler))
	require.NoError(t, err)

	status, body := ask(t, api, http.MethodGet, "", "Bearer a visitor's key")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"data":[{"name":"rabbitmq-2","of":"rabbitmq","role":"","state":"up"},{"name":"standby","of":"postgres","role":"standby","state":"down"}]}`, body)
	for path, want := range map[string]int{"/rabbitmq-2/kill": http.StatusNoContent, "/standby/kill": http.StatusNotFound, "/rabbitmq-2/freeze": http.StatusNotFound} {
		status, _ := ask(t, api, http.MethodPost, path, "")
		require.Equal(t, want, status, path)
	}
	require.Equal(t, []string{"rabbitmq-2"}, h.killed)

	for _, stranger := range []string{"", "Bearer ", "Bearer a guess"} {
		status, _ := ask(t, parts.Handler(h, "the token"), http.MethodPost, "/rabbitmq-2/kill", stranger)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	require.Len(t, h.killed, 1)
}

func TestWithoutADoorThereAreNoPartsAndNothingIsKilled(t *testing.T) {
	t.Parallel()
	api, err := parts.Proxy("", "the token", nil)
	require.NoError(t, err)
	status, body := ask(t, api, http.MethodGet, "", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"data":[]}`, body)
	status, _ = ask(t, api, http.MethodPost, "/postgres/kill", "")
	require.Equal(t, http.StatusNotFound, status)
}
