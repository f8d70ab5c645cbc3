package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
)

const cardToken = "tok_ok" //nolint:gosec // the name of a test card

// sandbox is a merchant with its API key.
type sandbox struct {
	merchant uuid.UUID
	key      string
}

func merchantsOf(all []sandbox) []uuid.UUID {
	ids := make([]uuid.UUID, len(all))
	for i, s := range all {
		ids[i] = s.merchant
	}
	return ids
}

// addresses counts the loopback addresses that were used. Linux answers on all
// of 127.0.0.0/8, so one machine can be a crowd to a limit per address.
var addresses atomic.Int64

func nextAddress() *net.TCPAddr {
	const side = 250
	n := int(addresses.Add(1))
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+n/(side*side)%side), byte(n/side%side), byte(1+n%side))}
}

// newSandboxes asks for them as everybody has to.
func newSandboxes(ctx context.Context, url string, n int) ([]sandbox, error) {
	dialer := &net.Dialer{LocalAddr: nextAddress()}
	shop := client.New(url, "", client.Options{Dial: dialer.DialContext, Timeout: 10 * time.Second, Idle: 1})
	defer shop.CloseIdle()
	all := make([]sandbox, n)
	for i := range all {
		made, err := client.Post[wire.Sandbox](ctx, shop, "/v1/sandboxes", struct{}{})
		if err != nil {
			return nil, fmt.Errorf("make a sandbox: %w", err)
		}
		id, ok := wire.PrefixMerchant.Parse(made.MerchantID)
		if !ok {
			return nil, fmt.Errorf("a sandbox was answered with merchant %q", made.MerchantID)
		}
		all[i] = sandbox{merchant: id, key: made.APIKey}
	}
	return all, nil
}

// load is a closed loop of captures. Requests are rendered before the clock
// starts and written to plain connections, because a client that takes a tenth
// of the machine takes it from what it measures.
type load struct {
	address  string
	requests [][]byte
	next     atomic.Int64
	ended    atomic.Bool // before its time
	circle   bool        // after the last request the first comes again
	// every is the time from one request of a client to its next, whenever the answer
	// comes; 0 means that it follows the answer.
	every   time.Duration
	workers []worker
}

// worker is one client's share of the outcome.
type worker struct {
	latency  []time.Duration
	captured int
	due      time.Time // its next request, when it asks by a clock
	problem  error
}

func newLoad(url, path string, sandboxes []sandbox, jobs []job) *load {
	l := &load{address: strings.TrimPrefix(url, "http://"), requests: make([][]byte, len(jobs))}
	keys := make(map[uuid.UUID]string, len(sandboxes))
	for _, s := range sandboxes {
		keys[s.merchant] = s.key
	}
	body := fmt.Sprintf(`{"amount_minor":%d,"currency":%q,"card_token":%q}`, amount(), item.Price.Currency, cardToken)
	for i, j := range jobs {
		l.requests[i] = fmt.Appendf(nil, "POST %s/v1/payments/%s/capture HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"Idempotency-Key: %q\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			path, wire.PrefixPayment.ID(j.payment), l.address, keys[j.merchant], uuid.NewString(), len(body), body)
	}
	return l
}

// run lets the clients ask for as long as that.
func (l *load) run(clients int, length time.Duration) {
	l.workers = make([]worker, clients)
	until := time.Now().Add(length)
	var all sync.WaitGroup
	for i := range l.workers {
		all.Go(func() { l.workers[i].problem = l.client(&l.workers[i], until) })
	}
	all.Wait()
}

// client asks, waits for the answer, and asks again. After as many requests as
// an address may send it comes back from another one.
func (l *load) client(w *worker, until time.Time) error {
	w.due = time.Now().Add(rand.N(max(1, l.every)))
	for time.Now().Before(until) && !l.ended.Load() {
		conn, err := (&net.Dialer{LocalAddr: nextAddress()}).Dial("tcp", l.address)
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(until.Add(30 * time.Second))
		more, err := l.visit(w, conn, until)
		_ = conn.Close()
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// visit uses one connection up; more is false when no request is left.
func (l *load) visit(w *worker, conn net.Conn, until time.Time) (more bool, err error) {
	answers := bufio.NewReader(conn)
	for range perSandbox {
		began := time.Now()
		if l.every > 0 { // an answer that is late counts from when it was due
			time.Sleep(time.Until(w.due))
			began, w.due = w.due, w.due.Add(l.every)
		}
		if !began.Before(until) || l.ended.Load() {
			return false, nil
		}
		n := int(l.next.Add(1)) - 1
		if l.circle {
			n %= len(l.requests)
		}
		if n >= len(l.requests) {
			return false, nil
		}
		if _, err := conn.Write(l.requests[n]); err != nil {
			return false, err
		}
		if _, err := readCaptured(answers); err != nil {
			return false, err
		}
		w.captured++
		w.latency = append(w.latency, time.Since(began))
	}
	return true, nil
}

var errAnswer = errors.New("the answer is no capture")

// readCaptured reads one answer, which must say that the payment is captured.
func readCaptured(from *bufio.Reader) (body []byte, err error) {
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		return nil, err
	}
	body, err = io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"status":"captured"`)) {
		return nil, fmt.Errorf("%w: %s: %s", errAnswer, resp.Status, body)
	}
	return body, nil
}

func (l *load) captured() (n int) {
	for _, w := range l.workers {
		n += w.captured
	}
	return n
}

func (l *load) latencies() (all []time.Duration) {
	for _, w := range l.workers {
		all = append(all, w.latency...)
	}
	return all
}

func (l *load) problem() error {
	problems := make([]error, len(l.workers))
	for i, w := range l.workers {
		problems[i] = w.problem
	}
	return errors.Join(problems...)
}
