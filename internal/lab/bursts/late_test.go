package bursts_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/outbox"
)

func TestAKeysLifeEndsOnRequestForItsOwnSandboxAndOnlyWhenItHasItsAnswer(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		for key, status := range map[string]string{"done": "completed", "under-way": "running"} {
			if _, err := tx.Exec(t.Context(), `
INSERT INTO idempotency_keys (merchant_id, key, operation, request_hash, field_macs, status, claim_token, response_status, response_headers, response_body, expires_at)
VALUES ($1, $2, 'capture', 'h', '{}', $3, $1, 200, '{}', '{}', now() + interval '72 hours')`, someone.Merchant, key, status); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	lab := bursts.New(bursts.Options{DB: db, Secret: []byte("s")})
	living := func() (n int) {
		t.Helper()
		if err := db.Get(t.Context(), &n, `SELECT count(*) FROM idempotency_keys WHERE expires_at > clock_timestamp()`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, one := range []struct {
		who            caller.Caller
		body           string
		status, living int
	}{
		{caller.Caller{Merchant: uuid.New()}, `{"idempotency_key":"done"}`, 404, 2},
		{someone, `{"idempotency_key":"under-way"}`, 404, 2},
		{someone, `{"idempotency_key":""}`, 400, 2},
		{someone, `{"idempotency_key":"done"}`, 202, 1},
		{someone, `{"idempotency_key":"done"}`, 202, 1},
	} {
		w := ask(t, lab, one.who, "POST", "/v1/lab/expire", one.body)
		if w.Code != one.status || living() != one.living {
			t.Errorf("%s: %d %s, %d keys live", one.body, w.Code, w.Body, living())
		}
	}
}

func TestARedeliveryMayPretendToBeSixtyDaysOld(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	mine := uuid.Must(uuid.NewV7())
	original := outbox.Event{ID: uuid.Must(uuid.NewV7()).String(), Scope: someone.Merchant.String(), Correlation: mine.String(), AggregateType: "payment",
		AggregateID: mine.String(), AggregateVersion: 1, Type: "payment.captured", Payload: []byte(`{"schema":1}`)}
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(t.Context(), `
WITH m AS (INSERT INTO merchants (id, api_key_hash) VALUES ($1, 'x') RETURNING id),
     o AS (INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items) SELECT $2, id, 'k', 'awaiting_payment', 'a@b', 1, 'EUR', '[]' FROM m RETURNING id, merchant_id)
INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency) SELECT $2, merchant_id, id, 'requires_capture', 1, 'EUR' FROM o`, someone.Merchant, mine); err != nil {
			return err
		}
		return patterns.Append(t.Context(), tx, original)
	}); err != nil {
		t.Fatal(err)
	}
	lab := bursts.New(bursts.Options{DB: db, Secret: []byte("s")})
	w := ask(t, lab, someone, "POST", "/v1/lab/redeliver", fmt.Sprintf(`{"payment_id":%q,"times":1,"consumer":"ledger","age_days":60}`, wire.PrefixPayment.ID(mine)))
	var v struct {
		EventID string `json:"event_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	old, _ := wire.PrefixEvent.Parse(v.EventID)
	if old.Version() != 7 || old.String() == original.ID {
		t.Errorf("%s is no older twin of %s", old, original.ID)
	}
	seconds, _ := old.Time().UnixTime()
	now, _ := patterns.ID(original.ID).Time().UnixTime()
	if now-seconds != 60*24*60*60 {
		t.Errorf("it is %d s old", now-seconds)
	}
	var n int
	if err := db.Get(t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE event_id = $1 AND destination = 'ledger'`, old); err != nil || n != 1 {
		t.Errorf("%d copies are on their way, %v", n, err)
	}
}
