package bursts

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
)

// UserAgent is how the runner introduces itself.
const UserAgent = "payonce-gateway"

// Request is one burst, as POST /v1/lab/bursts asks for it.
type Request struct {
	PaymentID string `json:"payment_id"`
	Attempts  int    `json:"attempts"`
	Keys      string `json:"keys"` // same or fresh
	Key       string `json:"key"`
	CardToken string `json:"card_token"`
}

// Click is what one request of a burst got.
type Click struct {
	Key       string `json:"idempotency_key"`
	Status    int    `json:"status"`
	Replayed  bool   `json:"replayed"`
	Matched   bool   `json:"matched"`
	LatencyMS int64  `json:"latency_ms"`
	RequestID string `json:"request_id"`
	Error     string `json:"error,omitempty"`

	body [sha256.Size]byte
}

// Burst is what all of them got, in the order of their answers.
type Burst struct {
	PaymentID      string         `json:"payment_id"`
	Attempts       int            `json:"attempts"`
	Keys           string         `json:"keys"`
	Answers        []Click        `json:"answers"`
	Statuses       map[string]int `json:"statuses"`
	Replayed       int            `json:"replayed"`
	Matched        int            `json:"matched"`
	DistinctBodies int            `json:"distinct_bodies"`
	TookMS         int64          `json:"took_ms"`
}

// fire is POST /v1/lab/bursts.
func (r *routes) fire(w http.ResponseWriter, q *http.Request) {
	var asked Request
	if !reply.Read(w, q, r.schemas["BurstRequest"].Value, &asked) {
		return
	}
	gun := runner{r.shop.As(r.tokens.APIKey(caller.From(q.Context()).Merchant))}
	capture, status, err := gun.captureBody(q.Context(), asked)
	switch {
	case err != nil:
		r.Log.Warn("a burst could not reach the shop", "url", r.PublicURL, "error", err)
		reply.Refuse(w, q, wire.KindUnavailable, "The shop could not be reached from outside; nothing was fired.")
		return
	case status != http.StatusOK:
		reply.Refuse(w, q, wire.KindNotFound, "There is no such payment.")
		return
	}
	reply.JSON(w, http.StatusOK, gun.fire(q.Context(), asked, capture))
}

// runner is a client of the shop.
type runner struct{ shop *client.Client }

// captureBody reads the payment as anybody would, to know its amount.
func (g runner) captureBody(ctx context.Context, asked Request) ([]byte, int, error) {
	answer, err := g.shop.Send(ctx, client.Request{Method: http.MethodGet, Path: "/v1/payments/" + asked.PaymentID})
	if err != nil || answer.Status != http.StatusOK {
		return nil, answer.Status, err
	}
	p, err := client.Read[wire.Payment](answer)
	if err != nil {
		return nil, 0, err
	}
	token := asked.CardToken
	if token == "" {
		token = "tok_ok"
	}
	capture, err := json.Marshal(wire.CaptureRequest{AmountMinor: p.AmountMinor, Currency: p.Currency, CardToken: token})
	return capture, http.StatusOK, err
}

// fire lets every click wait at one gate and opens it.
func (g runner) fire(ctx context.Context, asked Request, capture []byte) Burst {
	if asked.Key == "" {
		asked.Key = "burst-" + uuid.NewString()
	}
	answers := make(chan Click, asked.Attempts)
	gate := make(chan struct{})
	var ready, clicking sync.WaitGroup
	for i := range asked.Attempts {
		key := asked.Key
		if asked.Keys == "fresh" {
			key = fmt.Sprintf("%s-%d", asked.Key, i+1)
		}
		ready.Add(1)
		clicking.Go(func() {
			ready.Done()
			<-gate
			answers <- g.click(ctx, asked.PaymentID, key, capture)
		})
	}
	ready.Wait()
	began := time.Now()
	close(gate)
	clicking.Wait()
	close(answers)
	b := Burst{PaymentID: asked.PaymentID, Attempts: asked.Attempts, Keys: asked.Keys, Statuses: map[string]int{}, TookMS: time.Since(began).Milliseconds()}
	bodies := map[[sha256.Size]byte]bool{}
	for one := range answers {
		b.add(one)
		if one.Status != 0 {
			bodies[one.body] = true
		}
	}
	b.DistinctBodies = len(bodies)
	return b
}

func (b *Burst) add(one Click) {
	b.Answers = append(b.Answers, one)
	b.Statuses[strconv.Itoa(one.Status)]++
	if one.Replayed {
		b.Replayed++
	}
	if one.Matched {
		b.Matched++
	}
}

func (g runner) click(ctx context.Context, payment, key string, capture []byte) Click {
	began := time.Now()
	answer, err := g.shop.Send(ctx, client.Request{Method: http.MethodPost, Path: "/v1/payments/" + payment + "/capture", Key: key, Raw: capture})
	one := Click{Key: key, LatencyMS: time.Since(began).Milliseconds()}
	if err != nil {
		// Nothing is known: the shop may have acted. That is what the next
		// click with the same key is for.
		one.Error = "no answer"
		return one
	}
	one.Status, one.body = answer.Status, sha256.Sum256(answer.Body)
	one.Replayed = answer.Header.Get("Idempotent-Replayed") == "true"
	one.Matched = answer.Header.Get("Payonce-Matched") != ""
	one.RequestID = answer.Header.Get("X-Request-Id")
	return one
}
