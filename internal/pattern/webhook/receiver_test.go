package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/webhook"
	"payonce/internal/pattern/webhook/webhooktest"
	"payonce/internal/platform/postgres"
)

// listener is the smallest receiver: it notes each word it is told, an effect
// that would show every second delivery.
type listener struct {
	db       *postgres.DB
	verifier *webhook.Verifier
}

func (l listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhook.MaxBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	m, err := l.verifier.Verify(r.Header, body)
	if err != nil {
		w.WriteHeader(refusal(err))
		return
	}
	var heard struct{ Word string }
	if json.Unmarshal(m.Body, &heard) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	err = postgres.InTx(r.Context(), l.db, func(tx postgres.Tx) error {
		verdict, err := webhook.Receive(r.Context(), tx, "radio", m)
		switch {
		case err != nil || verdict == webhook.Known:
			return err
		case verdict == webhook.Altered:
			_, err = tx.Exec(r.Context(), `INSERT INTO alarms (id) VALUES ($1) ON CONFLICT DO NOTHING`, m.ID)
			return err
		}
		_, err = tx.Exec(r.Context(), `INSERT INTO words (word) VALUES ($1)`, heard.Word)
		return err
	})
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func refusal(err error) int {
	switch {
	case errors.Is(err, webhook.ErrSignature):
		return http.StatusUnauthorized
	case errors.Is(err, webhook.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func TestTheSmallestReceiverKeepsThePromise(t *testing.T) {
	t.Parallel()
	secrets := []string{"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	webhooktest.Run(t, func(t *testing.T) webhooktest.Receiver {
		db := devtest.Postgres(t)
		require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `CREATE TABLE words (word text NOT NULL); CREATE TABLE alarms (id text PRIMARY KEY)`)
			return err
		}))
		verifier, err := webhook.NewVerifier(secrets, time.Now)
		require.NoError(t, err)
		server := httptest.NewServer(listener{db, verifier})
		t.Cleanup(server.Close)
		counted := func(query string) func() int {
			return func() (n int) {
				require.NoError(t, db.Get(t.Context(), &n, query))
				return n
			}
		}
		var n atomic.Int64
		return webhooktest.Receiver{
			URL: server.URL, Secrets: secrets, Body: func() []byte { return fmt.Appendf(nil, `{ "word": "w%d" }`, n.Add(1)) },
			Effects: counted(`SELECT count(*) FROM words`), Receipts: counted(`SELECT count(*) FROM webhook_receipts`), Alerts: counted(`SELECT count(*) FROM alarms`),
		}
	})
}
