package world

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/once/webhook"
)

// Schedules of the tries of one message: the delay before each further try.
var (
	// WebhookProduction is the one that the Standard Webhooks specification
	// recommends: 75 h 35 min in all.
	WebhookProduction = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
	// WebhookDemo is for whoever watches.
	WebhookDemo = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
)

// Webhooks say where the provider tells what happened. Without an URL it tells
// nobody, and writes nothing down.
type Webhooks struct {
	URL string
	// Secrets sign every message, each of them.
	Secrets [][]byte
	// Schedule are the delays between the tries of one message; after the last it
	// is given up. Nil means WebhookProduction.
	Schedule []time.Duration
	// Late is how late tok_webhook_late is told (5 s); Shuffle is how far apart
	// the copies of tok_webhook_storm are sent at most (2 s).
	Late, Shuffle time.Duration
	client        *http.Client
}

func (h Webhooks) withDefaults() Webhooks {
	if h.Schedule == nil {
		h.Schedule = WebhookProduction
	}
	if h.Late <= 0 {
		h.Late = 5 * time.Second
	}
	if h.Shuffle <= 0 {
		h.Shuffle = 2 * time.Second
	}
	h.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 10 * time.Second}}
	return h
}

// announcement is a message on its way into the books, beside its charge.
type announcement struct {
	id, kind string
	body     []byte
	copies   int
	state    string
	dueAt    time.Time
}

// params are the announcement's parameters of a statement that writes it, all
// null when there is none.
func (a *announcement) params() []any {
	if a == nil {
		return make([]any, 6)
	}
	return []any{a.id, a.kind, a.body, a.copies, a.state, a.dueAt}
}

// announce makes the message about a new charge; nil when nobody is told.
func (w *World) announce(c Charge, card card) *announcement {
	if w.options.Webhooks.URL == "" || c.Status == "cancelled" || ofSecondAccount(c.Reference) {
		return nil
	}
	id := uuid.Must(uuid.NewV7())
	a := w.plan("msg_"+hex.EncodeToString(id[:]), "charge."+c.Status, c.at)
	if card.tells == late {
		a.dueAt = a.dueAt.Add(w.options.Webhooks.Late)
	}
	if card.tells == storm {
		a.copies = 5
	}
	a.body = bodyOf(a.kind, c.CreatedAt, c)
	return a
}

// announceRefund makes the message about a refund. Its id is made of the
// refund's, so that whoever asks again under the same key makes it again.
func (w *World) announceRefund(r Refund) *announcement {
	a := w.plan("msg_"+strings.TrimPrefix(r.ID, "re_"), "refund."+r.Status, r.at)
	a.body = bodyOf(a.kind, r.CreatedAt, r)
	return a
}

// bodyOf is made once, so that every try sends the same bytes.
func bodyOf(kind, at string, about any) []byte {
	return mustEncode(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      any    `json:"data"`
	}{kind, at, about})
}

// plan is a message in the mood of the world.
func (w *World) plan(id, kind string, at time.Time) *announcement {
	mood := w.mood.get(w.options.Now())
	a := &announcement{
		id: id, kind: kind, state: "pending",
		copies: max(1, int(mood.WebhookCopies)), dueAt: at.Add(time.Duration(mood.WebhookDelayMS) * time.Millisecond),
	}
	if mood.WebhookShuffleMS > 0 {
		a.dueAt = a.dueAt.Add(rand.N(time.Duration(mood.WebhookShuffleMS) * time.Millisecond)) //nolint:gosec // an order, not a secret
	}
	if mood.Webhooks == lost {
		a.state = lost
	}
	return a
}

// sender sends what is due until ctx ends, and returns when what is under way
// has been written down. What it takes belongs to it for the lease's time, so
// that a killed world sends again and two worlds do not meet.
func (w *World) sender(ctx context.Context) error {
	if w.options.Webhooks.URL == "" {
		<-ctx.Done()
		return nil
	}
	var (
		underWay sync.WaitGroup
		// One message that is slow, a storm or a receiver that hangs, keeps its
		// own slot and no other message back.
		slots = make(chan struct{}, sendAtOnce)
	)
	defer underWay.Wait()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		due, err := w.books.takeDue(ctx, w.options.Now(), sendLease, sendAtOnce-len(slots))
		if err != nil && ctx.Err() == nil {
			w.options.Logger.Warn("webhooks cannot be sent", "error", err)
		}
		for _, m := range due {
			slots <- struct{}{}
			underWay.Go(func() {
				defer func() { <-slots }()
				w.deliver(context.WithoutCancel(ctx), m)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.announced:
		}
	}
}

const (
	sendAtOnce = 64
	sendLease  = 30 * time.Second
)

// deliver makes a message's copies, each a delivery of its own, until as many
// were taken as were meant or one was not.
func (w *World) deliver(ctx context.Context, m dueMessage) {
	var all sync.WaitGroup
	results := make(chan bool, m.copies)
	for range m.copies - m.taken {
		pause := time.Duration(0)
		if m.copies > 1 {
			pause = rand.N(w.options.Webhooks.Shuffle) //nolint:gosec // the order of a storm, not a secret
		}
		all.Go(func() {
			w.wait(ctx, pause)
			results <- w.try(ctx, m)
		})
	}
	all.Wait()
	close(results)
	taken, refused := 0, false
	for ok := range results {
		if ok {
			taken++
		} else {
			refused = true
		}
	}
	next := m.next(w.options.Webhooks.Schedule, taken, refused, w.options.Now())
	if err := w.books.delivered(ctx, m.id, taken, next); err != nil {
		w.options.Logger.Warn("a webhook's fate cannot be written down; it is sent again", "message", m.id, "error", err)
	}
	w.heard.tell(m.id)
}

// outcome is what becomes of a message after a round of tries.
type outcome struct {
	state string
	dueAt time.Time
}

func (m dueMessage) next(schedule []time.Duration, taken int, refused bool, now time.Time) outcome {
	switch {
	case !refused && m.taken+taken >= m.copies:
		return outcome{"delivered", now}
	case m.tries > len(schedule): // tries counts this one
		return outcome{"given_up", now}
	}
	return outcome{"pending", now.Add(schedule[m.tries-1])}
}

// try is one delivery. It signs anew, as each try has its own time.
func (w *World) try(ctx context.Context, m dueMessage) bool {
	began := w.options.Now()
	status, err := w.post(ctx, m, began)
	log := deliveryRow{message: m.id, sentAt: began, took: w.options.Now().Sub(began), status: status}
	if err != nil {
		log.problem = "no answer came"
	}
	if err := w.books.logDelivery(ctx, log); err != nil {
		w.options.Logger.Warn("a webhook delivery cannot be logged", "message", m.id, "error", err)
	}
	return status >= 200 && status < 300
}

func (w *World) post(ctx context.Context, m dueMessage, at time.Time) (int, error) {
	hooks := w.options.Webhooks
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hooks.URL, bytes.NewReader(m.body))
	if err != nil {
		return 0, fmt.Errorf("world: webhook: %w", err)
	}
	req.Header = webhook.Sign(hooks.Secrets, m.id, at, m.body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "payonce-simulator")
	resp, err := hooks.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// listeners wait for the first round of one message.
type listeners struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// expect returns a channel that closes after the message's next round.
func (l *listeners) expect(id string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[string]chan struct{}{}
	}
	l.waiting[id] = make(chan struct{})
	return l.waiting[id]
}

func (l *listeners) tell(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.waiting[id]; c != nil {
		close(c)
		delete(l.waiting, id)
	}
}
