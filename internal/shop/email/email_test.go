package email_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	"payonce/once/retry"
)

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func capturedEvent(t testing.TB, payment uuid.UUID, to event.Address) event.PaymentCaptured {
	return event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: newID(t), OrderID: newID(t), PaymentID: payment, AttemptNo: 1,
		Amount: money.Of(12_600, "EUR"), ProviderChargeID: "ch_1", Email: to,
		Lines: []event.Line{
			{SKU: "concert-a", Name: "Evening in A", Quantity: 2, UnitAmountMinor: 4200},
			{SKU: "concert-b", Name: "B\r\nBcc: all@example.org", Quantity: 1, UnitAmountMinor: 4200},
		},
	}
}

func message(t testing.TB, kind string, payload any) inbox.Message {
	t.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return inbox.Message{EventID: newID(t).String(), Type: kind, Payload: body}
}

func captured(t testing.TB, payment uuid.UUID, to event.Address) inbox.Message {
	t.Helper()
	return message(t, event.TypePaymentCaptured, capturedEvent(t, payment, to))
}

func declined(t testing.TB, payment uuid.UUID, attempt int, to event.Address) inbox.Message {
	t.Helper()
	return message(t, event.TypePaymentDeclined, event.PaymentDeclined{
		Schema: event.SchemaVersion, MerchantID: newID(t), OrderID: newID(t), PaymentID: payment, AttemptNo: attempt,
		Amount: money.Of(8400, "EUR"), DeclineCode: "insufficient_funds", Email: to,
	})
}

func handle(ctx context.Context, db *postgres.DB, batch ...inbox.Message) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		return email.Consumer{PublicURL: "http://shop.example/"}.Handle(ctx, tx, batch)
	})
}

func mustHandle(t testing.TB, db *postgres.DB, batch ...inbox.Message) {
	t.Helper()
	if err := handle(t.Context(), db, batch...); err != nil {
		t.Fatal(err)
	}
}

func mailsOf(t testing.TB, db *postgres.DB, payment uuid.UUID) []email.Entry {
	t.Helper()
	all, err := email.Box{DB: db}.OfPayment(t.Context(), payment)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOnePaymentCapturedTwentyTimesOwesOneReceiptAndTwoDeclinesOweTwoNotices(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	payment := newID(t)
	var batch []inbox.Message
	for range 10 {
		batch = append(batch, captured(t, payment, "a@example.org"), declined(t, payment, 1, "a@example.org"), declined(t, payment, 2, "a@example.org"))
	}
	mustHandle(t, db, batch...)
	for range 10 {
		mustHandle(t, db, captured(t, payment, "a@example.org"))
	}
	ids := map[string]bool{}
	for _, m := range mailsOf(t, db, payment) {
		ids[m.MessageID] = true
	}
	name := event.PaymentName(payment)
	want := []string{"<receipt." + name + "@payonce>", "<declined." + name + ".1@payonce>", "<declined." + name + ".2@payonce>"}
	for _, id := range want {
		if !ids[id] {
			t.Errorf("no mail %s", id)
		}
	}
	if len(ids) != len(want) {
		t.Errorf("want %d mails, got %v", len(want), ids)
	}
}

func TestAReceiptNamesLinesAmountAndWhereTheTicketsAre(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	payment := newID(t)
	e := capturedEvent(t, payment, "a@example.org")
	mustHandle(t, db, message(t, event.TypePaymentCaptured, e))
	var body string
	if err := db.Get(t.Context(), &body, `SELECT body FROM emails WHERE payment_id = $1`, payment); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"€126.00", "2 x Evening in A: €84.00", "http://shop.example/?order=" + event.OrderName(e.OrderID), event.PaymentName(payment),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the receipt does not say %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "\nBcc:") {
		t.Errorf("a product's name made a line of its own:\n%s", body)
	}
}

func TestARecipientThatIsMoreThanOneAddressIsRefusedForGood(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for _, to := range []event.Address{
		"", "nobody", "a@example.org\r\nBcc: b@example.org", "a@example.org, b@example.org", "A <a@example.org>",
		"a@example.org>\r\nRCPT TO:<b@example.org", "a@exa mple.org", "a\x00@example.org", event.Address(strings.Repeat("a", 250)) + "@example.org",
	} {
		err := handle(t.Context(), db, captured(t, newID(t), to))
		if !errors.Is(err, email.ErrUnknownEvent) || retry.ClassOf(err) != retry.ClassPermanent {
			t.Errorf("%q: want a permanent refusal, got %v", to, err)
		}
	}
}

func TestWhatCannotBeReadIsRefusedForGood(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for name, m := range map[string]inbox.Message{
		"another type":   message(t, "order.placed", capturedEvent(t, newID(t), "a@example.org")),
		"a newer schema": message(t, event.TypePaymentCaptured, map[string]any{"schema": 2}),
		"no JSON":        {EventID: newID(t).String(), Type: event.TypePaymentDeclined, Payload: []byte("\xff")},
		"nobody's":       message(t, event.TypePaymentDeclined, map[string]any{"schema": 1, "email": "a@example.org"}),
	} {
		err := handle(t.Context(), db, m)
		if !errors.Is(err, email.ErrUnknownEvent) || retry.ClassOf(err) != retry.ClassPermanent {
			t.Errorf("%s: want a permanent refusal, got %v", name, err)
		}
	}
}

// until polls a condition with a deadline.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestEachRefundOwesOneMailWithItsOutcomeAndItsOwnMessageID(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	r := event.Refund{RefundID: newID(t), MerchantID: newID(t), PaymentID: newID(t), OrderID: newID(t), Amount: money.Of(4200, "EUR"), Email: "a@example.org"}
	other := r
	other.RefundID = newID(t)
	went := event.RefundCompleted{Schema: event.SchemaVersion, Refund: r}
	failed := event.RefundFailed{Schema: event.SchemaVersion, Refund: other, FailureCode: "ticket_used"}
	for range 3 {
		mustHandle(t, db, message(t, event.TypeRefundCompleted, went), message(t, event.TypeRefundFailed, failed))
	}
	all := mailsOf(t, db, r.PaymentID)
	if len(all) != 2 {
		t.Fatalf("%d mails are owed, not 2", len(all))
	}
	for template, refund := range map[string]uuid.UUID{email.Refunded: r.RefundID, email.RefundFailed: other.RefundID} {
		want := "<" + template + "." + event.RefundName(refund) + "@payonce>"
		if !slices.ContainsFunc(all, func(e email.Entry) bool { return e.MessageID == want && e.Recipient == "a@example.org" }) {
			t.Errorf("no mail is %s: %+v", want, all)
		}
	}
}
