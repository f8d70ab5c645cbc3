package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/shop/provider"
)

// passing is a refusal of a keyed operation and the end of what caused it.
type passing struct {
	slug   string
	status int
	ask    func(key string) reply
	mend   func()
	done   int // the answer's status once the cause has passed
}

func (b *bank) failing(with error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = with
}

// Refusals that are stored: their key gets them again whatever has passed.
var storedRefusals = map[string]func(e *edge) passing{
	"a refund of what is not paid yet": func(e *edge) passing {
		o := e.order()
		return passing{"payment-not-captured", 409, func(key string) reply { return e.refund(o.Payment, key, "") },
			func() { e.capture(o.Payment, "pay", "tok_ok") }, 202}
	},
	"a refund of what is in doubt": func(e *edge) passing {
		o := e.order()
		e.bank.failing(provider.ErrInDoubt)
		e.capture(o.Payment, "pay", "tok_ok")
		return passing{"payment-not-captured", 409, func(key string) reply { return e.refund(o.Payment, key, "") },
			func() { e.bank.failing(nil); e.capture(o.Payment, "pay", "tok_ok") }, 202}
	},
	"a refund beside one that holds everything and then fails": func(e *edge) passing {
		o := e.paid()
		e.refund(o.Payment, "first", "")
		return passing{"refund-exceeds-captured", 422, func(key string) reply { return e.refund(o.Payment, key, "") }, func() {
			e.exec(`UPDATE refund_reservations SET state = 'released', settled_at = clock_timestamp()`)
			e.exec(`UPDATE payments SET refund_reserved_minor = 0`)
		}, 202}
	},
	"a card that is declined": func(e *edge) passing {
		o, token := e.order(), "tok_declined"
		return passing{"payment-declined", 402, func(key string) reply { return e.capture(o.Payment, key, token) },
			func() { token = "tok_ok" }, 200}
	},
	"an item that is not on sale": func(e *edge) passing {
		sku := "none"
		return passing{"unknown-item", 422, func(key string) reply {
			return e.post("/v1/orders", key, strings.Replace(newOrder, "concert-a", sku, 1))
		},
			func() { sku = "concert-a" }, 201}
	},
	"an amount that is not the payment's": func(e *edge) passing {
		o := e.order()
		asked := o.Payment
		asked.AmountMinor++
		return passing{"amount-mismatch", 422, func(key string) reply {
			return e.post("/v1/payments/"+o.Payment.ID+"/capture", key, captureBody(asked, "tok_ok"))
		},
			func() { asked = o.Payment }, 200}
	},
}

// Refusals of which nothing is stored: the same key is judged anew.
var passingRefusals = map[string]func(e *edge) passing{
	"a provider that cannot be reached": func(e *edge) passing {
		o := e.order()
		e.bank.failing(provider.ErrNotSent)
		return passing{"provider-unavailable", 503, func(key string) reply { return e.capture(o.Payment, key, "tok_ok") },
			func() { e.bank.failing(nil) }, 200}
	},
	"a provider that rejects the request": func(e *edge) passing {
		o := e.order()
		e.bank.failing(provider.ErrRefused)
		return passing{"provider-refused", 503, func(key string) reply { return e.capture(o.Payment, key, "tok_ok") },
			func() { e.bank.failing(nil) }, 200}
	},
	"a body that does not fit": func(e *edge) passing {
		body := `{`
		return passing{"invalid-request", 400, func(key string) reply { return e.post("/v1/orders", key, body) },
			func() { body = newOrder }, 201}
	},
	"a run that takes long": func(e *edge) passing {
		o, hold, answered := e.order(), make(chan struct{}), make(chan reply, 1)
		e.bank.hold = hold
		go func() { answered <- e.capture(o.Payment, "first", "tok_ok") }()
		eventually(e.t, "the charge is on its way", func() bool { e.bank.mu.Lock(); defer e.bank.mu.Unlock(); return e.bank.calls == 1 })
		return passing{"idempotency-key-in-progress", 409, func(key string) reply { return e.capture(o.Payment, key, "tok_ok") },
			func() { close(hold); <-answered }, 200}
	},
}

func retryKey(t *testing.T, r reply) string {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal([]byte(r.Body), &p); err != nil || p.RetryKey == nil {
		t.Fatalf("no retry_key: %d %s", r.Status, r.Body)
	}
	return string(*p.RetryKey)
}

func TestAStoredRefusalSaysThatOnlyANewKeyLeadsOn(t *testing.T) {
	t.Parallel()
	for name, begin := range storedRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			p := begin(e)
			first := p.ask("K")
			said := e.problem(first, p.status, p.slug)
			if retryKey(t, first) != "new" || !strings.Contains(said.Detail, "a new Idempotency-Key") {
				t.Errorf("it does not say so: %s", first.Body)
			}
			p.mend()
			if again := p.ask("K"); again.Status < 400 || retryKey(t, again) != "new" {
				t.Errorf("the same key got %d %s", again.Status, again.Body)
			}
			if r := p.ask(uuid.NewString()); r.Status != p.done {
				t.Errorf("a new key got %d %s", r.Status, r.Body)
			}
		})
	}
}

// What has expired is no answer any more: neither "still running" nor the old refusal.
func TestAStoredRefusalIsJudgedAnewAtOnceWhenItsKeyHasExpired(t *testing.T) {
	t.Parallel()
	for name, begin := range storedRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			p := begin(e)
			for range 3 {
				e.problem(p.ask("K"), p.status, p.slug)
				e.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second' WHERE key = 'K'`)
			}
			p.mend()
			if r := p.ask("K"); r.Status != p.done {
				t.Errorf("after what was in the way had ended: %d %s", r.Status, r.Body)
			}
		})
	}
}

func TestARefusalOfWhichNothingIsStoredSaysThatTheSameKeyLeadsOn(t *testing.T) {
	t.Parallel()
	for name, begin := range passingRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			p := begin(e)
			first := p.ask("K")
			e.problem(first, p.status, p.slug)
			if retryKey(t, first) != "same" {
				t.Errorf("it does not say so: %s", first.Body)
			}
			p.mend()
			if r := p.ask("K"); r.Status != p.done {
				t.Errorf("the same key got %d %s", r.Status, r.Body)
			}
		})
	}
}

// What has no key, or lacks one, hears nothing about the next one.
func TestAProblemSpeaksOfKeysOnlyWhereThereAreSome(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for name, r := range map[string]reply{
		"a read":         e.get("/v1/payments/pay_1"),
		"no such route":  e.get("/v1/nothing"),
		"a missing key":  e.post("/v1/orders", "", newOrder),
		"an invalid key": e.post("/v1/orders", "two words", newOrder),
	} {
		if r.Status < 400 || strings.Contains(r.Body, "retry_key") {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
}
