package world

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Behaviour is the mood of the whole world. It lives in memory: a simulator
// that is started again is in a good mood. The zero value, which POST {} sets,
// is a world where everything works.
type Behaviour struct {
	// Outage is what every provider call meets: none; unavailable (503);
	// reset (the connection is cut at once); hang (it is held, then cut).
	// Nothing is charged during any of them.
	Outage string `json:"outage"`
	// Charges is what is wrong with the charges made now; see quirk.go.
	Charges string `json:"charges"`
	// MailOutage is none, or unavailable: every MAIL FROM gets a 451.
	MailOutage string `json:"mail_outage"`
	// Webhooks is what becomes of what the provider tells by itself: none is the
	// good mood; lost means that messages of charges made now are never sent.
	Webhooks string `json:"webhooks"`
	// WebhookCopies is how often each message is delivered, at moments of their
	// own, 0 meaning once; WebhookDelayMS delays its first delivery.
	WebhookCopies  int64 `json:"webhook_copies"`
	WebhookDelayMS int64 `json:"webhook_delay_ms"`
	// WebhookShuffleMS delays each message by chance up to so long, so that they
	// come in another order than what they tell of.
	WebhookShuffleMS int64 `json:"webhook_shuffle_ms"`
	// LatencyMS delays every provider call before it is looked at.
	LatencyMS int64 `json:"latency_ms"`
	// ForMS ends the mood by itself after that time; 0 keeps it.
	ForMS int64 `json:"for_ms"`
}

const (
	none        = "none"
	unavailable = "unavailable"
	reset       = "reset"
	hang        = "hang"
	lost        = "lost"

	maxLatency = 60_000
	maxFor     = 3_600_000
	maxCopies  = 10
)

// mood guards the current behaviour and its end.
type mood struct {
	mu    sync.Mutex
	value Behaviour
	until time.Time // zero: no end
}

func goodMood() Behaviour {
	return Behaviour{Outage: none, Charges: none, MailOutage: none, Webhooks: none}
}

func (m *mood) set(b Behaviour, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.until = b, time.Time{}
	if b.ForMS > 0 {
		m.until = now.Add(time.Duration(b.ForMS) * time.Millisecond)
	}
}

func (m *mood) get(now time.Time) Behaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.until.IsZero() && !now.Before(m.until) {
		m.value, m.until = goodMood(), time.Time{}
	}
	return m.value
}

// getBehaviour is GET /v1/behaviour.
func (w *World) getBehaviour(rw http.ResponseWriter, _ *http.Request) {
	writeJSON(rw, http.StatusOK, w.mood.get(w.options.Now()))
}

// postBehaviour is POST /v1/behaviour. What a request leaves out works again.
func (w *World) postBehaviour(rw http.ResponseWriter, r *http.Request) {
	b, err := readBehaviour(rw, r)
	if err != nil {
		writeError(rw, err)
		return
	}
	w.mood.set(b, w.options.Now())
	writeJSON(rw, http.StatusOK, b)
}

func readBehaviour(rw http.ResponseWriter, r *http.Request) (Behaviour, error) {
	b := goodMood()
	body, err := readObject(rw, r, "outage", "charges", "mail_outage", "webhooks", "webhook_copies", "webhook_delay_ms", "webhook_shuffle_ms",
		"latency_ms", "for_ms")
	if err != nil {
		return b, err
	}
	for _, choice := range []struct {
		name    string
		into    *string
		allowed []string
	}{
		{"outage", &b.Outage, []string{none, unavailable, reset, hang}},
		{"charges", &b.Charges, []string{none, otherAmount, brokenJSON, resetAfter, forgetful}},
		{"mail_outage", &b.MailOutage, []string{none, unavailable}},
		{"webhooks", &b.Webhooks, []string{none, lost}},
	} {
		if body[choice.name] == nil {
			continue
		}
		value, err := body.str(choice.name)
		if err != nil || !slices.Contains(choice.allowed, value) {
			return b, invalid(choice.name, "%s must be one of %v.", choice.name, choice.allowed)
		}
		*choice.into = value
	}
	for _, number := range []struct {
		name string
		into *int64
		max  int64
	}{
		{"latency_ms", &b.LatencyMS, maxLatency}, {"for_ms", &b.ForMS, maxFor},
		{"webhook_copies", &b.WebhookCopies, maxCopies}, {"webhook_delay_ms", &b.WebhookDelayMS, maxFor},
		{"webhook_shuffle_ms", &b.WebhookShuffleMS, maxFor},
	} {
		if body[number.name] == nil {
			continue
		}
		value, err := body.integer(number.name)
		if err != nil || value < 0 || value > number.max {
			return b, invalid(number.name, "%s must be an integer between 0 and %d.", number.name, number.max)
		}
		*number.into = value
	}
	return b, nil
}

// meet puts the world's mood before a provider call. It returns false when
// the call has been dealt with.
func (w *World) meet(rw http.ResponseWriter, r *http.Request) bool {
	b := w.mood.get(w.options.Now())
	if b.LatencyMS > 0 {
		w.wait(r.Context(), time.Duration(b.LatencyMS)*time.Millisecond)
	}
	switch b.Outage {
	case unavailable:
		writeError(rw, errUnavailable)
		return false
	case reset:
		cutConnection(rw)
		return false
	case hang:
		w.hold(r)
	}
	return true
}

// cutConnection closes with a TCP reset instead of a farewell, the way a
// crashed host or an impatient firewall does.
func cutConnection(rw http.ResponseWriter) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
