package retention

import (
	"errors"
	"fmt"
	"time"

	"payonce/internal/platform/config"
	keep "payonce/once/retention"
)

const day = 24 * time.Hour

// Windows are the lifetimes that have to fit together: the patterns', and the shop's own.
type Windows struct {
	keep.Windows
	Attempts time.Duration // a client's attempt
}

// Defaults are the windows of the shop, with its retry schedule still to fill in.
func Defaults() Windows {
	w := Windows{Windows: keep.Defaults(), Attempts: 30 * day}
	w.Settings = map[string]string{
		"Keys": "PAYONCE_KEY_TTL", "Inbox": "PAYONCE_RETAIN_INBOX", "Outbox": "PAYONCE_RETAIN_OUTBOX", "Receipts": "PAYONCE_RETAIN_RECEIPTS",
		"Letters": "PAYONCE_RETAIN_LETTERS", "OutboxAlarm": "PAYONCE_OUTBOX_ALARM", "ReplayLimit": "PAYONCE_REPLAY_LIMIT",
	}
	return w
}

// Configured are the windows of a process: its own settings, the keys' life
// where it knows one, and the length of its retry schedule.
func Configured(r config.Retention, keys, retries time.Duration) Windows {
	w := Defaults()
	w.Keys, w.Inbox, w.Outbox, w.Receipts, w.Letters = keys, r.RetainInbox, r.RetainOutbox, r.RetainReceipts, r.RetainLetters
	w.Attempts, w.OutboxAlarm, w.Retries, w.ReplayLimit = r.RetainAttempts, r.OutboxAlarm, retries, r.ReplayLimit
	return w
}

// ErrAttemptsTooShort is one of what [Lint] wraps; the others are the pattern's.
var ErrAttemptsTooShort = errors.New("the life of attempts is too short")

// Lint names every window that is too short, with the setting that cures it. Every process
// runs it at start and refuses to work when one is.
func Lint(w Windows) error {
	err := keep.Lint(w.Windows)
	if w.Attempts < w.Keys {
		err = errors.Join(err, fmt.Errorf("%w: %s, but it must be at least %s: a question why a key got its answer needs its attempts; set PAYONCE_RETAIN_ATTEMPTS",
			ErrAttemptsTooShort, w.Attempts, w.Keys))
	}
	return err
}
