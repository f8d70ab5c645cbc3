package ledger_test

import (
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
)

// Whatever arrives, in whatever batches, how often, and even when an event
// contradicts an earlier one: each payment is in the book once, with the amount
// that came first, and every currency sums to zero.
func TestWhateverArrivesTheBookBalancesAndEachPaymentIsInItOnce(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	book := ledger.Book{DB: db}
	rapid.Check(t, func(rt *rapid.T) {
		merchants := []uuid.UUID{newID(t), newID(t)}
		payments := []uuid.UUID{newID(t), newID(t), newID(t), newID(t), newID(t)}
		model := map[uuid.UUID]money.Money{}
		amounts := rapid.Custom(func(rt *rapid.T) money.Money {
			return money.Of(rapid.SampledFrom([]int64{1, 2, money.Max}).Draw(rt, "minor"), rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(rt, "currency"))
		})
		for range rapid.IntRange(1, 5).Draw(rt, "batches") {
			type one struct {
				payment uuid.UUID
				amount  money.Money
				message inbox.Message
			}
			var batch []one
			var messages []inbox.Message
			for range rapid.IntRange(1, 8).Draw(rt, "size") {
				i := rapid.IntRange(0, len(payments)-1).Draw(rt, "payment")
				amount := amounts.Draw(rt, "amount")
				m := captured(t, merchants[i%2], payments[i], amount)
				batch, messages = append(batch, one{payments[i], amount, m}), append(messages, m)
			}
			// As the inbox's runner does: all together, else each alone.
			together := handle(t.Context(), db, messages...) == nil
			for _, o := range batch {
				if !together {
					err := handle(t.Context(), db, o.message)
					if first, booked := model[o.payment]; (err != nil) != (booked && first != o.amount) {
						rt.Fatalf("%v after %v: %v", o.amount, model[o.payment], err)
					}
				}
				if _, booked := model[o.payment]; !booked {
					model[o.payment] = o.amount
				}
			}
		}
		for payment, amount := range model {
			got, err := book.OfPayment(t.Context(), payment)
			if err != nil {
				rt.Fatal(err)
			}
			if len(got) != 1 || got[0].Entries[0].AmountMinor != amount.AmountMinor || got[0].Entries[0].Currency != amount.Currency {
				rt.Fatalf("want one transaction of %v, got %+v", amount, got)
			}
		}
		sums, err := book.Sums(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		for currency, sum := range sums {
			if sum != 0 {
				rt.Fatalf("%s sums to %d", currency, sum)
			}
		}
	})
}
