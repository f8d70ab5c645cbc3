package lesson

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/client"
	"payonce/internal/platform/postgres"
)

// Scene is where a scenario plays: one visitor's sandbox, seen from outside.
type Scene struct {
	visitor
	shop, world party
	db          postgres.Reader
	secrets     [][]byte
	rec         *recorder
	undisturbed func() // ends this run's being alone
}

func (r *Runner) scene(v visitor, rec *recorder) *Scene {
	return &Scene{
		visitor: v, rec: rec, db: r.shopDB, secrets: r.opts.WebhookSecrets,
		shop:  partyAt("the shop", r.opts.ShopURL, v.apiKey),
		world: partyAt("the provider", r.opts.WorldURL, ""),
	}
}

// say notes a step of the run.
func (s *Scene) say(ctx context.Context, format string, args ...any) {
	s.rec.step(ctx, fmt.Sprintf(format, args...))
}

// calm says that everybody's processes live again and that what follows only
// waits: others may play.
func (s *Scene) calm(ctx context.Context) error {
	err := s.await(ctx, "every process to be up", func(ctx context.Context) (bool, error) {
		var list struct {
			Data []struct {
				State string `json:"state"`
			} `json:"data"`
		}
		err := s.shop.get(ctx, "/v1/processes", &list)
		up := len(list.Data) > 0
		for _, p := range list.Data {
			up = up && p.State == "up"
		}
		return up, err
	})
	s.undisturbed()
	return err
}

// watch names the payment that the page should show.
func (s *Scene) watch(ctx context.Context, payment string) error {
	return s.rec.change(ctx, func(run *Run) { run.PaymentID = &payment })
}

const (
	// settle is how long things may take that happen by themselves: a lease, the
	// schedule of a redelivery, a process that is started again.
	settle = 45 * time.Second
	tick   = 100 * time.Millisecond
)

// await asks until the answer is yes. Not being able to ask is no answer: what
// was killed comes back.
func (s *Scene) await(ctx context.Context, what string, yes func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	var last error
	for {
		done, err := yes(ctx)
		if err == nil && done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited for %s", what), last, ctx.Err())
		case <-time.After(tick):
		}
	}
}

// checkout is an order that waits for its payment.
type checkout struct {
	order, payment, email string
	id                    uuid.UUID // of the payment
	amount                int64
	currency              string
}

// order places an order for two tickets, and asks again under the same key until
// it has one. The first of a run is the one to watch.
func (s *Scene) order(ctx context.Context) (c checkout, err error) {
	key := uuid.NewString()
	c.email = "lesson-" + key[:8] + "@example.org"
	body := map[string]any{"items": []map[string]any{{"sku": "concert-a", "quantity": 2}}, "email": c.email}
	var placed struct {
		ID          string `json:"id"`
		AmountMinor int64  `json:"amount_minor"`
		Currency    string `json:"currency"`
		Payment     struct {
			ID string `json:"id"`
		} `json:"payment"`
	}
	if err := s.must(ctx, http.StatusCreated, client.Request{Method: http.MethodPost, Path: "/v1/orders", Key: key, Body: body}, &placed); err != nil {
		return c, err
	}
	c.order, c.payment, c.amount, c.currency = placed.ID, placed.Payment.ID, placed.AmountMinor, placed.Currency
	c.id = idOf(c.payment)
	if s.rec.run.PaymentID == nil {
		err = s.watch(ctx, c.payment)
	}
	return c, err
}

// capture clicks Pay once. An error means that no answer came; then nothing is
// known.
func (s *Scene) capture(ctx context.Context, c checkout, key, token string) (answer, error) {
	return s.shop.send(ctx, s.capturing(c, key, token))
}

func (s *Scene) capturing(c checkout, key, token string) client.Request {
	return client.Request{
		Method: http.MethodPost, Path: "/v1/payments/" + c.payment + "/capture", Key: key,
		Body: map[string]any{"amount_minor": c.amount, "currency": c.currency, "card_token": token},
	}
}

// insist clicks as a careful client does: with the same key until there is an
// outcome. It says how often it had to ask.
func (s *Scene) insist(ctx context.Context, c checkout, key, token string) (got answer, tries int, err error) {
	err = s.await(ctx, "an outcome of "+c.payment, func(ctx context.Context) (bool, error) {
		tries++
		got, err = s.capture(ctx, c, key, token)
		return got.Status == http.StatusOK || got.Status == http.StatusPaymentRequired, err
	})
	return got, tries, err
}

// buy places an order, pays it and waits until everything has come of it.
func (s *Scene) buy(ctx context.Context, token string) (checkout, error) {
	c, err := s.order(ctx)
	if err != nil {
		return c, err
	}
	got, _, err := s.insist(ctx, c, "pay-"+c.payment, token)
	if err != nil {
		return c, err
	}
	if got.Status != http.StatusOK {
		return c, fmt.Errorf("the payment was answered %s", got)
	}
	return c, s.settled(ctx, c)
}

// burst is what several clicks at once got.
type burst struct {
	Statuses       map[string]int `json:"statuses"`
	Replayed       int            `json:"replayed"`
	Matched        int            `json:"matched"`
	DistinctBodies int            `json:"distinct_bodies"`
}

// String says how many answers of each status there were.
func (b burst) String() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(b.Statuses)) {
		parts = append(parts, fmt.Sprintf("%d × %s", b.Statuses[status], status))
	}
	return "Answers: " + strings.Join(parts, ", ")
}

// clicks lets several clicks leave at one moment. Keys are same or fresh.
func (s *Scene) clicks(ctx context.Context, c checkout, n int, keys string) (b burst, err error) {
	got, err := s.shop.send(ctx, s.clicking(c, n, keys)) // once: asked again it would click again
	if err != nil {
		return b, err
	}
	if got.Status != http.StatusOK {
		return b, fmt.Errorf("the clicks were answered %s", got)
	}
	return b, got.into(&b)
}

func (*Scene) clicking(c checkout, n int, keys string) client.Request {
	return client.Request{Method: http.MethodPost, Path: "/v1/lab/bursts", Body: map[string]any{"payment_id": c.payment, "attempts": n, "keys": keys}}
}

// arm lets something happen at a crash point, to this payment only.
func (s *Scene) arm(ctx context.Context, c checkout, point, action string, forMS int) error {
	body := map[string]any{"point": point, "action": action, "payment_id": c.payment}
	if forMS > 0 {
		body["for_ms"] = forMS
	}
	return s.must(ctx, http.StatusAccepted, client.Request{Method: http.MethodPost, Path: "/v1/lab/faults", Body: body}, nil)
}

// fired waits until every fault of this visitor has happened.
func (s *Scene) fired(ctx context.Context) error {
	return s.await(ctx, "the fault that was armed", func(ctx context.Context) (bool, error) {
		var v struct {
			Armed []any `json:"armed"`
		}
		err := s.shop.get(ctx, "/v1/lab/faults", &v)
		return len(v.Armed) == 0, err
	})
}

// disarm takes back what has not fired, so that a run that ended early leaves no
// trap behind.
func (s *Scene) disarm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = s.must(ctx, http.StatusOK, client.Request{Method: http.MethodDelete, Path: "/v1/lab/faults"}, nil) // a courtesy: it concerns this payment only
}

// must sends a request until it is answered as expected: the ways of the
// laboratory, and what is keyed, may be asked again. A refusal is an error at
// once.
func (s *Scene) must(ctx context.Context, status int, q client.Request, into any) error {
	var refused error
	err := s.await(ctx, q.Method+" "+q.Path, func(ctx context.Context) (bool, error) {
		got, err := s.shop.send(ctx, q)
		switch {
		case err != nil:
			return false, err
		case got.Status == status:
			return true, got.into(into)
		case got.Status < 500 && got.Status != http.StatusTooManyRequests && got.Status != http.StatusConflict:
			refused = fmt.Errorf("%s %s: %s", q.Method, q.Path, got)
			return true, nil
		}
		return false, fmt.Errorf("answered %s", got)
	})
	return errors.Join(err, refused)
}

// unexpected is the error of a scenario that cannot go on after an answer.
func unexpected(got answer) error { return fmt.Errorf("the shop answered %s", got) }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	if n == 2 {
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
