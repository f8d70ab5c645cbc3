package retry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"payonce/once/message"
	"payonce/once/rabbit"
)

// Schedule is how long a message waits before each of its further attempts.
type Schedule []time.Duration

// The schedules of the house. Demo shortens every delay so that a visitor sees
// it happen.
var (
	Production = Schedule{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	Demo       = Schedule{200 * time.Millisecond, time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second}
)

// ScheduleNamed returns the schedule that a configuration asks for.
func ScheduleNamed(name string) (Schedule, error) {
	switch name {
	case "production":
		return Production, nil
	case "demo":
		return Demo, nil
	}
	return nil, fmt.Errorf("retry: no schedule is called %q; there are production and demo", name)
}

// Whole is the longest way a message can go before it is given up.
func (s Schedule) Whole() time.Duration {
	var sum time.Duration
	for _, d := range s {
		sum += d
	}
	return sum
}

// Publisher is the part of [rabbit.Publisher] that a router needs.
type Publisher interface {
	Publish(ctx context.Context, m message.Message) error
}

// Router sends a failed delivery where it belongs: to a delay, or to the dead.
type Router struct {
	Names     Names
	Publisher Publisher
	Schedule  Schedule
	Now       func() time.Time
}

// Verdict is what a router did with a message.
type Verdict struct {
	// Dead says that the message went to the dead; else it comes back after
	// Delay as attempt number Attempt.
	Dead    bool
	Delay   time.Duration
	Attempt int
	Class   Class
	Reason  string
	// Exchange is where it went.
	Exchange string
}

// Failed sends a copy of d on its way, confirmed by the broker. After nil the
// caller acknowledges d; a crash between the two makes a duplicate, which an
// inbox absorbs. After an error d must stay unacknowledged.
//
// Errors for a person go to the dead at once, the others after the last delay.
func (r Router) Failed(ctx context.Context, d rabbit.Delivery, cause error) (Verdict, error) {
	sent, _ := r.Names.Format.Parse(d.Message)
	v := Verdict{Attempt: sent.Attempt, Class: ClassOf(cause), Reason: cause.Error()}
	m := r.copyOf(d, v)
	if v.Dead = v.Class.Fate() != Again || sent.Attempt > len(r.Schedule); v.Dead {
		m.Exchange, v.Exchange = r.Names.Dead, r.Names.Dead
		return v, r.Publisher.Publish(ctx, m)
	}
	v.Delay = r.Schedule[sent.Attempt-1]
	v.Attempt++
	v.Exchange = r.Names.Exchange(v.Delay)
	m.Exchange = v.Exchange
	m.Headers[r.Names.Format.Attempt] = int64(v.Attempt)
	return v, r.Publisher.Publish(ctx, m)
}

// copyOf makes the message that leaves: the consumer's queue as its routing
// key, which it keeps on its way back, the broker's own headers left behind.
func (r Router) copyOf(d rabbit.Delivery, v Verdict) message.Message {
	names := r.Names.Format
	now := r.Now().UTC().Format(time.RFC3339Nano)
	m := d.Message
	m.Key = d.Queue
	m.Headers = map[string]any{}
	for name, value := range d.Headers {
		if !strings.HasPrefix(name, "x-") {
			m.Headers[name] = value
		}
	}
	if _, known := m.Headers[names.FirstFailed]; !known {
		m.Headers[names.FirstFailed] = now
	}
	m.Headers[names.LastFailed] = now
	m.Headers[names.Consumer] = d.Queue
	m.Headers[names.Class] = string(v.Class)
	m.Headers[names.Reason] = clip(v.Reason)
	return m
}

// clip keeps a reason short enough for a header and a person.
func clip(reason string) string {
	const most = 500
	if len(reason) > most {
		reason = reason[:most] + " …"
	}
	return cleanText(reason)
}
