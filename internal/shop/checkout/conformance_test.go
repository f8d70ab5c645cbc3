package checkout_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/money"
	"payonce/once/idempotency/idempotencytest"
)

func delivered(r checkout.Result, err error) idempotencytest.Delivered {
	return idempotencytest.Of(r.Answer, r.Replayed, err)
}

func tenants(t *testing.T, options ...option) [2]*shop {
	db, w := devtest.Postgres(t), worldtest.Start(t, world.Options{})
	return [2]*shop{openIn(t, db, w, options...), openIn(t, db, w, options...)}
}

func TestPlacingAnOrderIsOneOutcomePerKey(t *testing.T) {
	t.Parallel()
	idempotencytest.Run(t, func(t *testing.T) idempotencytest.Operation {
		shops := tenants(t)
		return idempotencytest.Operation{
			Deliver: func(tenant int, key string, variant int) idempotencytest.Delivered {
				s := shops[tenant]
				return delivered(s.PlaceOrder(context.Background(), checkout.PlaceOrder{
					Merchant: s.merchant, Key: key, Email: "ada@example.org", Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 1 + variant}},
				}))
			},
			Expire: shops[0].expire,
			Effects: func(tenant int) int {
				return shops[tenant].count(`SELECT count(*) FROM orders WHERE merchant_id = $1`, shops[tenant].merchant)
			},
		}
	})
}

func TestCapturingAPaymentIsOneOutcomePerKey(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		idempotencytest.Run(t, func(t *testing.T) idempotencytest.Operation {
			shops := tenants(t, form)
			payments := [2]uuid.UUID{shops[0].payment(), shops[1].payment()}
			return idempotencytest.Operation{
				Deliver: func(tenant int, key string, variant int) idempotencytest.Delivered {
					c := shops[tenant].captureOf(payments[tenant], key, "tok_ok")
					c.Amount = money.Of(8400+int64(variant), "EUR")
					return delivered(shops[tenant].Capture(context.Background(), c))
				},
				Expire:  shops[0].expire,
				Effects: func(tenant int) int { return shops[tenant].charges(payments[tenant], "succeeded") },
			}
		})
	})
}
