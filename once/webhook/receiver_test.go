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

	"payonce/once"
	"payonce/once/oncetest/dbtest"
	oncepq "payonce/once/pq"
	"payonce/once/webhook"
	"payonce/once/webhook/webhooktest"
)

// listener is the smallest receiver: it notes each word it is told, an effect
// that would show every second delivery.
type listener struct {
	db       once.DB
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
	var said struct{ Word string }
	if json.Unmarshal(m.Body, &said) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	err = l.db.InTx(r.Context(), func(tx once.Tx) error {
		verdict, err := webhook.Receipts{Schema: "radio"}.Receive(r.Context(), tx, "radio", m)
		switch {
		case err != nil || verdict == webhook.Known:
			return err
		case verdict == webhook.Altered:
			_, err = tx.Exec(r.Context(), `INSERT INTO alarms (id) VALUES ($1) ON CONFLICT DO NOTHING`, m.ID)
			return err
		}
		_, err = tx.Exec(r.Context(), `INSERT INTO words (word) VALUES ($1)`, said.Word)
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
		db, err := oncepq.Open(oncepq.Config{DSN: dbtest.Database(t, "radio")})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
			_, err := tx.Exec(t.Context(), `CREATE TABLE words (word text NOT NULL); CREATE TABLE alarms (id text PRIMARY KEY)`)
			return err
		}))
		verifier, err := webhook.NewVerifier(secrets, time.Now)
		require.NoError(t, err)
		server := httptest.NewServer(listener{db, verifier})
		t.Cleanup(server.Close)
		counted := func(query string) func() int {
			return func() (n int) {
				rows, err := db.Read(t.Context(), query)
				_, err = once.One(rows, err, &n)
				require.NoError(t, err)
				return n
			}
		}
		var n atomic.Int64
		return webhooktest.Receiver{
			URL: server.URL, Secrets: secrets, Body: func() []byte { return fmt.Appendf(nil, `{ "word": "w%d" }`, n.Add(1)) },
			Effects: counted(`SELECT count(*) FROM words`), Receipts: counted(`SELECT count(*) FROM radio.webhook_receipts`), Alerts: counted(`SELECT count(*) FROM alarms`),
		}
	})
}
