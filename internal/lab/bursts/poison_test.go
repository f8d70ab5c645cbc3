package bursts_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/outbox"
)

func TestPoisonAndRedeliveriesGoTheWayOfEveryEventToOneQueueAndForOnesOwnPaymentsOnly(t *testing.T) {
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
	rows := func(where string, args ...any) (n int) {
		t.Helper()
		if err := db.Get(t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE `+where, args...); err != nil {
			t.Fatal(err)
		}
		return n
	}
	own := wire.PrefixPayment.ID(mine)
	for _, kind := range []string{"schema", "garbage", "type"} {
		w := ask(t, lab, someone, "POST", "/v1/lab/poison", fmt.Sprintf(`{"payment_id":%q,"consumer":"ledger","kind":%q}`, own, kind))
		var v struct {
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		id, _ := wire.PrefixEvent.Parse(v.EventID)
		if rows(`event_id = $1 AND destination = 'ledger' AND merchant_id = $2`, id, someone.Merchant) != 1 {
			t.Errorf("no %s is on its way", kind)
		}
	}
	for body, copies := range map[string]int{
		`{"payment_id":"` + own + `","times":20,"consumer":"email"}`: 20,
		`{"payment_id":"` + own + `","times":2}`:                     6, // ledger, tickets, email
	} {
		before := rows(`event_id = $1 AND destination IS NOT NULL`, original.ID)
		if w := ask(t, lab, someone, "POST", "/v1/lab/redeliver", body); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if n := rows(`event_id = $1 AND destination IS NOT NULL`, original.ID) - before; n != copies {
			t.Errorf("%d copies of %d for %s", n, copies, body)
		}
	}
	for _, refused := range []struct {
		path, body string
		status     int
	}{
		{"/v1/lab/poison", `{"payment_id":"` + payment + `","consumer":"ledger"}`, 404},
		{"/v1/lab/poison", `{"payment_id":"` + own + `","consumer":"journal"}`, 400},
		{"/v1/lab/redeliver", `{"payment_id":"` + payment + `","times":1}`, 404},
		{"/v1/lab/redeliver", `{"payment_id":"` + own + `","times":101}`, 400},
		{"/v1/lab/redeliver", `{"payment_id":"` + own + `","times":1,"type":"payment.declined"}`, 404},
		{"/v1/lab/redeliver", `{"payment_id":"` + own + `","times":1,"type":"payment.declined","consumer":"ledger"}`, 400},
	} {
		if w := ask(t, lab, someone, "POST", refused.path, refused.body); w.Code != refused.status || w.Header().Get("Content-Type") != wire.ProblemJSON {
			t.Errorf("%s %s: %d %s", refused.path, refused.body, w.Code, w.Body)
		}
	}
}
