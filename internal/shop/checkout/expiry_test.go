package checkout_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// A key outlives its time as long as it is not known what became of its charge.
func TestAKeyThatExpiresInDoubtStillHasOneAttemptAndGetsItsAnswer(t *testing.T) {
	t.Parallel()
	looks := map[string]func(s *shop){
		"unseen": func(*shop) {},
		"looked at": func(s *shop) {
			row, found, err := s.Keys.Lookup(s.t.Context(), s.merchant.String(), "K")
			require.NoError(s.t, err)
			require.True(s.t, found)
			require.False(s.t, row.Completed())
		},
		"met by retention": func(s *shop) {
			require.NoError(s.t, postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
				n, err := checkout.KeyTable.RemoveExpired(s.t.Context(), tx, 100)
				require.EqualValues(s.t, 1, n, "the order's key went, and no other")
				return err
			}))
		},
		"delivered again": func(s *shop) {
			r, err := s.capture(s.only(), "K", "tok_declined")
			require.NoError(s.t, err)
			require.Equal(s.t, 202, r.Answer.Status)
		},
	}
	for name, look := range looks {
		for token, ends := range map[string]struct {
			status int
			event  string
		}{"tok_declined": {402, "payment.declined"}, "tok_ok": {200, "payment.captured"}} {
			if name == "delivered again" && token != "tok_declined" {
				continue
			}
			t.Run(name+", "+token, func(t *testing.T) {
				t.Parallel()
				s := open(t)
				payment := s.payment()
				letGo := s.outage()
				r, err := s.capture(payment, "K", token)
				require.NoError(t, err)
				require.Equal(t, 202, r.Answer.Status)
				s.expire()
				look(s)
				letGo()
				s.leaseEnds(payment)
				require.Equal(t, 1, s.sweep())
				again, err := s.capture(payment, "K", token)
				require.NoError(t, err)
				require.Equal(t, ends.status, again.Answer.Status)
				require.True(t, again.Replayed)
				require.Equal(t, checkout.Replayed, again.Fate)
				require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts`))
				require.Equal(t, 1, s.events(payment, ends.event))
			})
		}
	}
}

// outage is a provider that answers nothing until it is let go.
func (s *shop) outage() (letGo func()) {
	var over atomic.Bool
	s.Provider = charging{
		Charger: s.Provider,
		charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
			if !over.Load() {
				return provider.Charge{}, provider.ErrInDoubt
			}
			return real.Charge(ctx, r)
		},
		byKey: func(ctx context.Context, key string, real provider.Charger) (provider.Charge, bool, error) {
			if !over.Load() {
				return provider.Charge{}, false, provider.ErrInDoubt
			}
			return real.ChargeByKey(ctx, key)
		},
	}
	return func() { over.Store(true) }
}

// only is the id of the one payment there is.
func (s *shop) only() (id uuid.UUID) {
	s.t.Helper()
	require.NoError(s.t, s.db.Get(s.t.Context(), &id, `SELECT id FROM payments`))
	return id
}

func TestAnExpiredRefusalIsJudgedAnewAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	declined, paid := s.payment(), s.payment()
	_, err := s.capture(paid, uuid.NewString(), "tok_ok")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		status  int
		deliver func(key string) (checkout.Result, error)
	}{
		"an order for what is not sold": {422, func(key string) (checkout.Result, error) {
			return s.PlaceOrder(t.Context(), order(s.merchant, key, "x@example.org", "no-such-concert", 1))
		}},
		"a capture that the bank declines": {402, func(key string) (checkout.Result, error) { return s.capture(declined, key, "tok_declined") }},
		"a capture of another amount": {422, func(key string) (checkout.Result, error) {
			c := s.captureOf(paid, key, "tok_ok")
			c.Amount.AmountMinor++
			return s.Capture(t.Context(), c)
		}},
	} {
		key := "K-" + strings.ReplaceAll(name, " ", "-")
		for round := range 3 {
			s.expire()
			for delivery := range 2 {
				r, err := c.deliver(key)
				require.NoError(t, err, "%s, round %d, delivery %d", name, round, delivery)
				require.Equal(t, c.status, r.Answer.Status, name)
				require.Equal(t, delivery == 1, r.Replayed, "%s, round %d", name, round)
			}
		}
	}
	require.Equal(t, 3, s.charges(declined, "declined"), "one attempt for each time that it was judged")
	require.Equal(t, 1, s.charges(paid, "succeeded"))
}

func order(merchant uuid.UUID, key string, email event.Address, sku string, quantity int) checkout.PlaceOrder {
	return checkout.PlaceOrder{Merchant: merchant, Key: key, Email: email, Items: []checkout.OrderItem{{SKU: sku, Quantity: quantity}}}
}

func TestAnOrdersExpiredKeyFindsItsOrderAndNamesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	s := open(t)
	first, err := s.PlaceOrder(t.Context(), order(s.merchant, "K", "first@example.org", "concert-a", 1))
	require.NoError(t, err)
	two := order(s.merchant, "K", "first@example.org", "concert-a", 1)
	two.Items = append(two.Items, checkout.OrderItem{SKU: "concert-b", Quantity: 1})
	for name, c := range map[string]struct {
		ask     checkout.PlaceOrder
		differs []string
	}{
		"the same request":       {order(s.merchant, "K", "first@example.org", "concert-a", 1), nil},
		"another e-mail":         {order(s.merchant, "K", "second@example.org", "concert-a", 1), []string{"/email"}},
		"another quantity":       {order(s.merchant, "K", "first@example.org", "concert-a", 2), []string{"/items/0/quantity"}},
		"another concert":        {order(s.merchant, "K", "first@example.org", "concert-b", 1), []string{"/items/0/sku"}},
		"a concert not sold":     {order(s.merchant, "K", "first@example.org", "no-such-concert", 1), []string{"/items/0/sku"}},
		"another item":           {two, []string{"/items/1/quantity", "/items/1/sku"}},
		"another e-mail and all": {order(s.merchant, "K", "second@example.org", "concert-b", 2), []string{"/email", "/items/0/quantity", "/items/0/sku"}},
	} {
		for _, expired := range []bool{false, true} { // within its lifetime and after: the same words
			if expired {
				s.expire()
			}
			r, err := s.PlaceOrder(t.Context(), c.ask)
			var mismatch *idempotency.MismatchError
			if errors.As(err, &mismatch) {
				require.Equal(t, c.differs, mismatch.Pointers, "%s, expired %v", name, expired)
				continue
			}
			require.NoError(t, err, name)
			require.Empty(t, c.differs, "%s, expired %v: %s", name, expired, r.Answer.Body)
			require.Equal(t, string(first.Answer.Body), string(r.Answer.Body), name)
		}
		// Whatever was refused, the key is its order's.
		r, err := s.PlaceOrder(t.Context(), order(s.merchant, "K", "first@example.org", "concert-a", 1))
		require.NoError(t, err, name)
		require.Equal(t, string(first.Answer.Body), string(r.Answer.Body), name)
	}
	require.Equal(t, 1, s.count(`SELECT count(*) FROM orders`))
}

// Names and prices are the shop's: a change of theirs is not the client's.
func TestAnOrdersExpiredKeyFindsItsOrderThoughThePriceHasChanged(t *testing.T) {
	t.Parallel()
	s := open(t)
	ask := order(s.merchant, "K", "first@example.org", "concert-a", 1)
	_, err := s.PlaceOrder(t.Context(), ask)
	require.NoError(t, err)
	s.exec(`UPDATE orders SET items = jsonb_set(jsonb_set(items, '{0,unit_amount_minor}', '4100'), '{0,name}', '"Once"'), amount_minor = 4100`)
	s.exec(`UPDATE payments SET amount_minor = 4100`)
	s.expire()
	r, err := s.PlaceOrder(t.Context(), ask)
	require.NoError(t, err)
	require.Equal(t, 201, r.Answer.Status)
	require.Equal(t, "4100", field(t, r, "amount"), "the price at which it was ordered")
	require.Equal(t, 1, s.count(`SELECT count(*) FROM orders`))
}

// Of many deliveries that meet an expired key at once, one runs.
func TestTwentyDeliveriesUponAnExpiredKeyAreOneNewAttempt(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		_, err := s.capture(payment, "K", "tok_declined")
		require.NoError(t, err)
		s.expire()
		bodies := make(chan string, 20)
		for range 20 {
			go func() {
				for {
					r, err := s.capture(payment, "K", "tok_declined")
					if errors.Is(err, idempotency.ErrInProgress) {
						continue
					}
					if err != nil {
						bodies <- err.Error()
						return
					}
					bodies <- string(r.Answer.Body)
					return
				}
			}()
		}
		seen := map[string]bool{}
		for range 20 {
			select {
			case b := <-bodies:
				seen[b] = true
			case <-time.After(time.Minute):
				t.Fatal("a delivery has no answer")
			}
		}
		require.Len(t, seen, 1)
		require.Equal(t, 2, s.charges(payment, "declined"))
	})
}
