package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
)

// Buyer is a program that buys: a sandbox of its own and an API key. It knows
// the API's documentation and nothing else.
type Buyer struct {
	Stage      *Stage
	MerchantID string
	APIKey     string
	client     *client.Client
}

// Response is an answer as it came over the wire.
type Response struct{ client.Answer }

// Field reads one top-level field of a JSON body.
func (r Response) Field(name string) any {
	var body map[string]any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return fmt.Sprintf("no JSON: %v", err)
	}
	return body[name]
}

// Buyer makes a sandbox, and asks again while the api does not answer: a test
// beside this one may just have killed it.
func (s *Stage) Buyer() *Buyer {
	s.T.Helper()
	b := &Buyer{Stage: s, client: client.New(s.URL, "", client.Options{Timeout: 40 * time.Second, Idle: 64})}
	s.T.Cleanup(b.client.CloseIdle)
	ctx, stop := context.WithTimeout(s.T.Context(), 30*time.Second)
	defer stop()
	sandbox := client.Request{Method: http.MethodPost, Path: "/v1/sandboxes", Body: map[string]any{}}
	answer, _, err := b.client.UntilAnswered(ctx, sandbox, func(w client.Waiting) { s.T.Logf("a sandbox: %v", w.Why) })
	require.NoError(s.T, err)
	r := Response{answer}
	b.MerchantID, b.APIKey = r.Field("merchant_id").(string), r.Field("api_key").(string)
	return b
}

// Do sends one request, once.
func (b *Buyer) Do(ctx context.Context, method, path, key string, body any) (Response, error) {
	return b.send(ctx, client.Request{Method: method, Path: path, Key: key, Body: body})
}

func (b *Buyer) send(ctx context.Context, r client.Request) (Response, error) {
	answer, err := b.client.As(b.APIKey).Send(ctx, r)
	return Response{answer}, err
}

// Get reads one resource and requires that it is there.
func (b *Buyer) Get(path string) Response {
	b.Stage.T.Helper()
	r, err := b.Do(context.Background(), http.MethodGet, path, "", nil)
	require.NoError(b.Stage.T, err)
	require.Equal(b.Stage.T, 200, r.Status, "%s: %s", path, r.Body)
	return r
}

// Checkout is an order that waits for its payment.
type Checkout struct {
	OrderID, PaymentID, Email string
	AmountMinor               int64
	Currency                  string
}

var orders atomic.Int64

// Order places an order for two tickets.
func (b *Buyer) Order() Checkout {
	b.Stage.T.Helper()
	return b.OrderFrom("example.org")
}

// OrderFrom is [Buyer.Order] with an address at a domain, some of which the
// mailbox treats in a way of their own.
func (b *Buyer) OrderFrom(domain string) Checkout {
	b.Stage.T.Helper()
	c, r, err := b.TryOrder(context.Background(), fmt.Sprintf("buyer-%d@%s", orders.Add(1), domain))
	require.NoError(b.Stage.T, err)
	require.Equal(b.Stage.T, 201, r.Status, "%s", r.Body)
	return c
}

// TryOrder asks for an order once, under a key made of the address. The
// Checkout is good when the status is 201.
func (b *Buyer) TryOrder(ctx context.Context, email string) (c Checkout, r Response, err error) {
	r, err = b.Do(ctx, http.MethodPost, "/v1/orders", "order-"+email, map[string]any{
		"items": []map[string]any{{"sku": "concert-a", "quantity": 2}}, "email": email,
	})
	if err != nil || r.Status != http.StatusCreated {
		return c, r, err
	}
	payment := r.Field("payment").(map[string]any)
	return Checkout{
		OrderID: r.Field("id").(string), PaymentID: payment["id"].(string), Email: email,
		AmountMinor: int64(r.Field("amount_minor").(float64)), Currency: r.Field("currency").(string),
	}, r, nil
}

// Capture clicks Pay once.
func (b *Buyer) Capture(ctx context.Context, c Checkout, key, token string) (Response, error) {
	return b.send(ctx, capture(c, key, token))
}

// CaptureWaiting is Capture by a client that waits longer for its twin.
func (b *Buyer) CaptureWaiting(ctx context.Context, c Checkout, key, token string, seconds int) (Response, error) {
	r := capture(c, key, token)
	r.Header = http.Header{"Prefer": {fmt.Sprintf("wait=%d", seconds)}}
	return b.send(ctx, r)
}

func capture(c Checkout, key, token string) client.Request {
	return client.Request{
		Method: http.MethodPost, Path: "/v1/payments/" + c.PaymentID + "/capture", Key: key,
		Body: map[string]any{"amount_minor": c.AmountMinor, "currency": c.Currency, "card_token": token},
	}
}

// MustCapture clicks Pay as a careful client does: with the same key until
// there is an outcome. It returns the outcome and how often it had to ask.
func (b *Buyer) MustCapture(c Checkout, key, token string) (Response, int) {
	b.Stage.T.Helper()
	var last Response
	for tries := 1; ; tries++ {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		r, err := b.Capture(ctx, c, key, token)
		cancel()
		if err == nil && (r.Status == 200 || r.Status == 402) {
			return r, tries
		}
		require.Less(b.Stage.T, tries, 400, "no outcome: %v, last answer %d %s", err, last.Status, last.Body)
		last = r
		time.Sleep(100 * time.Millisecond) // a client's pause between retries
	}
}

// Effects is what the world and the shop saw of a checkout.
type Effects struct{ Charges, Mails, Deliveries, Tickets, LedgerTransactions, CapturedEvents int }

// Once is what one captured order for two tickets looks like.
var Once = Effects{Charges: 1, Mails: 1, Tickets: 2, LedgerTransactions: 1, CapturedEvents: 1}

// Effects counts, at the provider and at the mailbox, and in the shop's books.
// Deliveries of mails are left out of the comparison with Once.
func (b *Buyer) Effects(c Checkout) (e Effects) {
	b.Stage.T.Helper()
	for _, charge := range b.Stage.world(b.Stage.T, "/v1/charges", url.Values{"reference": {c.PaymentID}}) {
		if charge["status"] == "succeeded" {
			e.Charges++
		}
	}
	e.Mails = len(b.Stage.world(b.Stage.T, "/mailbox/messages", url.Values{"to": {c.Email}}))
	e.Tickets = b.Stage.Count(`SELECT count(*) FROM tickets t JOIN orders o ON o.id = t.order_id WHERE 'ord_' || replace(o.id::text, '-', '') = $1`, c.OrderID)
	e.LedgerTransactions = b.Stage.Count(`SELECT count(*) FROM ledger_transactions WHERE 'pay_' || replace(payment_id::text, '-', '') = $1`, c.PaymentID)
	e.CapturedEvents = b.Stage.Count(`SELECT count(*) FROM outbox_events WHERE destination IS NULL AND type = 'payment.captured' AND 'pay_' || replace(aggregate_id::text, '-', '') = $1`, c.PaymentID)
	return e
}

// settleLimit is longer than the longest way of an effect under the demo's
// schedule: a mail whose holder died waits for the end of its lease, 10 s, and one
// that fails afterwards walks through the retries, 19 s; half a minute left one
// second for all the rest.
const settleLimit = time.Minute

// Settles waits until a checkout has exactly its effects, each once.
func (b *Buyer) Settles(c Checkout) {
	b.Stage.T.Helper()
	var got Effects
	deadline := time.Now().Add(settleLimit)
	for time.Now().Before(deadline) {
		if got = b.Effects(c); got == Once {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Equal(b.Stage.T, Once, got, "the effects of %s", c.PaymentID)
}

// Mails tells how often each message in the mailboxes of all arrived.
func (s *Stage) Mails() map[string]int {
	s.T.Helper()
	arrived := map[string]int{}
	for _, m := range s.world(s.T, "/mailbox/messages", url.Values{}) {
		arrived[m["message_id"].(string)] = int(m["deliveries"].(float64))
	}
	return arrived
}

// visitors share their connections: asking for effects is asking often.
var visitors = client.New("", "", client.Options{Idle: 64})

// Visitor is a caller of the shop without an API key.
func (s *Stage) Visitor() *client.Client { return visitors.At(s.URL) }

// World is a caller of the outside world: the provider and the mailbox.
func (s *Stage) World() *client.Client { return visitors.At(s.SimulatorURL) }

// world reads a list of the outside world to its end.
func (s *Stage) world(t testing.TB, path string, filter url.Values) (rows []map[string]any) {
	t.Helper()
	filter.Set("limit", "1000")
	for {
		page, err := client.Get[struct {
			Data []map[string]any `json:"data"`
			Next *string          `json:"next_cursor"`
		}](context.Background(), s.World(), path+"?"+filter.Encode())
		require.NoError(t, err)
		if rows = append(rows, page.Data...); page.Next == nil {
			return rows
		}
		filter.Set("cursor", *page.Next)
	}
}

// Count runs a counting query on the shop's database.
func (s *Stage) Count(query string, args ...any) (n int) {
	s.T.Helper()
	require.NoError(s.T, s.DB.Get(context.Background(), &n, query, args...))
	return n
}

// Arm lets the process die that meets a crash point for one payment.
func (b *Buyer) Arm(point string, c Checkout) {
	b.Stage.T.Helper()
	b.ArmAction(point, "kill", c, 0)
}

// ArmAction sets a crash point for one payment, wherever it is met; a duration
// of 0 is the action's own.
func (b *Buyer) ArmAction(point, action string, c Checkout, d time.Duration) {
	b.Stage.T.Helper()
	body := map[string]any{"point": point, "action": action, "payment_id": c.PaymentID}
	if d > 0 {
		body["for_ms"] = d.Milliseconds()
	}
	r, err := b.Do(context.Background(), http.MethodPost, "/v1/lab/faults", "", body)
	require.NoError(b.Stage.T, err)
	require.Equal(b.Stage.T, 202, r.Status, "%s", r.Body)
}
