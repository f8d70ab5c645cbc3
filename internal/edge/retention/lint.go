package retention

import (
	"errors"
	"fmt"
	"time"

	"payonce/internal/platform/config"
)

const day = 24 * time.Hour

// Windows are the lifetimes that have to fit together.
type Windows struct {
	Keys        time.Duration // an idempotency key and its answer
	Inbox       time.Duration // an inbox row
	Outbox      time.Duration // a published outbox row
	Receipts    time.Duration // a webhook's receipt
	Letters     time.Duration // a dead letter that was closed
	Attempts    time.Duration // a client's attempt
	OutboxAlarm time.Duration // the age at which an unpublished event alarms
	Retries     time.Duration // the whole retry schedule of a message
	ReplayLimit time.Duration // how old an event may be when a person replays it
}

// Defaults are the windows of the shop, with its retry schedule still to fill in.
func Defaults() Windows {
	return Windows{
		Keys: 72 * time.Hour, Inbox: 30 * day, Outbox: 7 * day, Receipts: 30 * day, Letters: 90 * day, Attempts: 30 * day,
		OutboxAlarm: time.Hour, ReplayLimit: 14 * day,
	}
}

// Configured are the windows of a process: its own settings, the keys' life
// where it knows one, and the length of its retry schedule.
func Configured(r config.Retention, keys, retries time.Duration) Windows {
	return Windows{
		Keys: keys, Inbox: r.RetainInbox, Outbox: r.RetainOutbox, Receipts: r.RetainReceipts, Letters: r.RetainLetters,
		Attempts: r.RetainAttempts, OutboxAlarm: r.OutboxAlarm, Retries: retries, ReplayLimit: r.ReplayLimit,
	}
}

// Windows that are too short; [Lint] wraps one of these for each.
var (
	ErrKeysTooShort     = errors.New("the life of idempotency keys is too short")
	ErrInboxTooShort    = errors.New("the life of inbox rows is too short")
	ErrOutboxTooShort   = errors.New("the life of published events is too short")
	ErrReceiptsTooShort = errors.New("the life of webhook receipts is too short")
	ErrLettersTooShort  = errors.New("the life of closed dead letters is too short")
	ErrAttemptsTooShort = errors.New("the life of attempts is too short")
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
// what to do about it. Every process runs it at start and refuses to work when
// one is: the damage shows only months later, as an effect that came twice.
func Lint(w Windows) error {
	var short []error
	need := func(have, want time.Duration, which error, why string) {
		if have < want {
			short = append(short, fmt.Errorf("%w: %s, but it must be at least %s: %s", which, have, want, why))
		}
	}
	need(w.Keys, KeyHorizon, ErrKeysTooShort, "clients were promised a day to retry; set PAYONCE_KEY_TTL")
	// The longest way of an event: it waits in the outbox until an alert is raised,
	// goes through every retry, dies, and is replayed on the last day allowed.
	need(w.Inbox, w.OutboxAlarm+w.Retries+w.ReplayLimit+day, ErrInboxTooShort,
		"an event may wait in the outbox, go through every retry and be replayed by a person, and must still be recognised; set PAYONCE_RETAIN_INBOX, or a shorter PAYONCE_REPLAY_LIMIT")
	need(w.Inbox, w.Outbox, ErrInboxTooShort,
		"an event that is still in the outbox can still be sent again; set PAYONCE_RETAIN_INBOX to at least PAYONCE_RETAIN_OUTBOX")
	need(w.Outbox, w.Retries+day, ErrOutboxTooShort,
		"whoever looks into yesterday's trouble, and the audit, need the event after its last retry; set PAYONCE_RETAIN_OUTBOX")
	need(w.Receipts, WebhookSchedule+day, ErrReceiptsTooShort,
		"a provider repeats a webhook for days, and its receipt is what absorbs the repeat; set PAYONCE_RETAIN_RECEIPTS")
	// A closed letter that is gone cannot tell a late copy of its first life.
	need(w.Letters, w.ReplayLimit+w.Retries+day, ErrLettersTooShort,
		"a closed dead letter still tells a late copy from a new death; set PAYONCE_RETAIN_LETTERS")
	need(w.Attempts, w.Keys, ErrAttemptsTooShort,
		"whoever asks why a key got its answer needs its attempts; set PAYONCE_RETAIN_ATTEMPTS")
	if w.ReplayLimit <= 0 || w.OutboxAlarm <= 0 {
		short = append(short, fmt.Errorf("%w: PAYONCE_REPLAY_LIMIT is %s, PAYONCE_OUTBOX_ALARM is %s", ErrNoTime, w.ReplayLimit, w.OutboxAlarm))
	}
	return errors.Join(short...)
}
