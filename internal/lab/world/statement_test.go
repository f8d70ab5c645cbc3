package world

import (
	"database/sql"
	"testing"
	"time"

	"payonce/internal/lab/devstack/devtest"
)

// database/sql runs a statement again when the connection breaks after the
// server has committed it. Here each one is run twice by hand.

func migrated(t *testing.T) *sql.DB {
	t.Helper()
	db, err := Open(t.Context(), devtest.EmptyDSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func fresh(t *testing.T) *World {
	t.Helper()
	w, err := New(t.Context(), migrated(t), Options{Webhooks: Webhooks{URL: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var someOrder = order{reference: "pay_1", currency: "EUR", token: "tok_ok", amount: 4200, hash: []byte("hash")}

func TestAChargesStatementRunTwiceIsOneChargeWithAndWithoutAKey(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	keyed := someOrder
	keyed.key = "k"
	made, keyless := w.announcement(card{}, keyed), w.announcement(card{}, someOrder)
	charge := made.charge
	for i := range 2 {
		written, err := w.books.write(t.Context(), charge, keyed.hash, render(charge), made.message)
		if err != nil || written != (i == 0) {
			t.Errorf("run %d: written %v, %v", i+1, written, err)
		}
		if err := w.books.writeKeyless(t.Context(), keyless.charge, keyless.message); err != nil {
			t.Error(err)
		}
	}
	if n := count(t, w.books.db, `SELECT count(*) FROM charges`); n != 2 {
		t.Errorf("%d charges, want 2", n)
	}
	if n := count(t, w.books.db, `SELECT count(*) FROM webhook_messages`); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestATombstoneAndItsLateArrivalRunTwiceAreOneOfEach(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	keyed := someOrder
	keyed.key = "k"
	for range 2 {
		if err := w.books.bury(t.Context(), "k", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	charge := w.newCharge(card{}, keyed)
	charge.Status = "cancelled"
	for i := range 2 {
		written, err := w.books.write(t.Context(), charge, keyed.hash, render(charge), nil)
		if err != nil || written != (i == 0) {
			t.Errorf("run %d: written %v, %v", i+1, written, err)
		}
	}
	if n := count(t, w.books.db, `SELECT count(*) FROM charges`); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestAMailsStatementRunTwiceWithOneArrivalCountsOneDelivery(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	for range 2 {
		if _, err := db.ExecContext(t.Context(), storeSQL, "msg_1", "<m@payonce>", time.Now(), `{a@example.org}`,
			"shop@payonce.example", "s", "t"); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, `SELECT deliveries FROM mail_messages`); n != 1 {
		t.Errorf("%d deliveries, want 1", n)
	}
}

func TestMigratingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'payonce-world'`); n != 0 {
		t.Errorf("%d sessions do not say that they are the world's", n)
	}
}

func TestTheDatabaseRefusesHalfAnAnswerAndAChargeOfNothing(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	for constraint, statement := range map[string]string{
		"charge_keys_answer": `INSERT INTO charge_keys (key, request_hash, created_at) VALUES ('k', '\x00', now())`,
		"charges_amount":     `INSERT INTO charges (id, reference, amount_minor, currency, status, created_at) VALUES ('c', 'r', 0, 'EUR', 'succeeded', now())`,
		"charges_decline":    `INSERT INTO charges (id, reference, amount_minor, currency, status, created_at) VALUES ('c', 'r', 1, 'EUR', 'declined', now())`,
		"charges_status":     `INSERT INTO charges (id, reference, amount_minor, currency, status, created_at) VALUES ('c', 'r', 1, 'EUR', 'maybe', now())`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); constraintOf(err) != constraint {
			t.Errorf("%s: %v", constraint, err)
		}
	}
}

func TestARefundsStatementRunTwiceIsOneRefundWithAndWithoutAKey(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	charge := w.newCharge(card{}, someOrder)
	if err := w.books.writeKeyless(t.Context(), charge, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range []refundOrder{
		{chargeID: charge.ID, reference: "ref_1", amount: 1000, hash: []byte("hash"), key: "k"},
		{chargeID: charge.ID, reference: "ref_1", amount: 1000, hash: []byte("hash")},
	} {
		mine := w.newRefund(o, charge)
		for range 2 {
			if got, _, err := w.books.refund(t.Context(), mine, "", charge.AmountMinor, o.hash); err != nil || got.ID != mine.ID || got.Status != "succeeded" {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
	if n := count(t, w.books.db, `SELECT count(*) FROM refunds`); n != 2 {
		t.Errorf("%d refunds, want 2", n)
	}
	if n := count(t, w.books.db, `SELECT amount_minor FROM refunded`); n != 2000 {
		t.Errorf("%d went back, want 2000", n)
	}
}
