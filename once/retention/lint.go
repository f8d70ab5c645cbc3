package retention

import (
	"errors"
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Windows are the lifetimes that have to fit together.
type Windows struct {
	Keys        time.Duration // an idempotency key and its answer
	Inbox       time.Duration // an inbox row
	Outbox      time.Duration // a published outbox row
	Receipts    time.Duration // a webhook's receipt
	Letters     time.Duration // a dead letter that was closed
	OutboxAlarm time.Duration // the age at which an unpublished event is trouble
	Retries     time.Duration // the whole retry schedule of a message
	ReplayLimit time.Duration // how old an event may be when a person replays it
	// Settings says how the program calls each of them where a person sets it, by the
	// names above; nil means by those.
	Settings map[string]string
}

// Defaults are windows that fit, with Retries still to fill in: [payonce/once/retry.Schedule.Whole]
// of the consumers' schedule.
func Defaults() Windows {
	return Windows{
		Keys: 72 * time.Hour, Inbox: 30 * day, Outbox: 7 * day, Receipts: 30 * day, Letters: 90 * day,
		OutboxAlarm: time.Hour, ReplayLimit: 14 * day,
	}
}

func (w Windows) setting(name string) string {
	if called, ok := w.Settings[name]; ok {
		return called
	}
	return name
}

// Windows that are too short; [Lint] wraps one of these for each.
var (
	ErrKeysTooShort     = errors.New("the life of idempotency keys is too short")
	ErrInboxTooShort    = errors.New("the life of inbox rows is too short")
	ErrOutboxTooShort   = errors.New("the life of published events is too short")
	ErrReceiptsTooShort = errors.New("the life of webhook receipts is too short")
	ErrLettersTooShort  = errors.New("the life of closed dead letters is too short")
	ErrNoTime           = errors.New("a window must be longer than nothing")
)

const (
	// KeyHorizon is for how long clients were promised that a retry finds the
	// answer.
	KeyHorizon = day
	// WebhookSchedule is how long a provider goes on delivering one webhook: 5 s,
	// 5 min, 30 min, then 2, 5, 10, 14, 20 and 24 h (Standard Webhooks).
	WebhookSchedule = 75*time.Hour + 35*time.Minute
)

// Lint names every window that is shorter than the way back that it guards, with
// what to do about it. A process runs it at start and refuses to work when
// one is: the damage shows only months later, as an effect that came twice.
func Lint(w Windows) error {
	var short []error
	need := func(have, want time.Duration, which error, why string) {
		if have < want {
			short = append(short, fmt.Errorf("%w: %s, but it must be at least %s: %s", which, have, want, why))
		}
	}
	set := w.setting
	need(w.Keys, KeyHorizon, ErrKeysTooShort, "clients were promised a day to retry; set "+set("Keys"))
	// The longest way of an event: it waits in the outbox until an alert is raised,
	// goes through every retry, dies, and is replayed on the last day allowed.
	need(w.Inbox, w.OutboxAlarm+w.Retries+w.ReplayLimit+day, ErrInboxTooShort,
		"an event may wait in the outbox, go through every retry and be replayed by a person, and must still be recognised; set "+set("Inbox")+", or a shorter "+set("ReplayLimit"))
	need(w.Inbox, w.Outbox, ErrInboxTooShort,
		"an event that is still in the outbox can still be sent again; set "+set("Inbox")+" to at least "+set("Outbox"))
	need(w.Outbox, w.Retries+day, ErrOutboxTooShort,
		"a look into yesterday's trouble, and an audit, need the event after its last retry; set "+set("Outbox"))
	need(w.Receipts, WebhookSchedule+day, ErrReceiptsTooShort,
		"a provider repeats a webhook for days, and its receipt is what absorbs the repeat; set "+set("Receipts"))
	// A closed letter that is gone cannot tell a late copy of its first life.
	need(w.Letters, w.ReplayLimit+w.Retries+day, ErrLettersTooShort,
		"a closed dead letter still tells a late copy from a new death; set "+set("Letters"))
	if w.ReplayLimit <= 0 || w.OutboxAlarm <= 0 || w.Retries <= 0 {
		short = append(short, fmt.Errorf("%w: %s is %s, %s is %s, %s is %s", ErrNoTime,
			set("ReplayLimit"), w.ReplayLimit, set("OutboxAlarm"), w.OutboxAlarm, set("Retries"), w.Retries))
	}
	return errors.Join(short...)
}
