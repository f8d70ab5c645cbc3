package event

import (
	"context"
	"slices"
	"strings"
	"time"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/outbox"
	"payonce/once/retry"
)

// Resend puts a dead letter's event into the outbox once more, for the one queue
// of the consumer that could not apply it: nobody else is bothered. It is what a
// [retry.DeadLetters] sends with.
//
// The envelope does not say what kind of thing its aggregate is, and nobody reads
// it from a replay's row; the type's noun stands in.
func Resend(ctx context.Context, tx once.Tx, r retry.Resend) error {
	noun, _, _ := strings.Cut(r.Type, ".")
	return patterns.Append(ctx, tx, outbox.Event{
		ID: r.EventID, Destination: r.Consumer, Replay: r.ReplayNo, PastWindow: r.PastWindow,
		Scope: r.Scope, Correlation: r.Correlation,
		AggregateType: noun, AggregateID: r.AggregateID, AggregateVersion: r.AggregateVersion,
		Type: r.Type, Payload: r.Payload, Traceparent: r.Traceparent,
	})
}

// Withdraw removes what [Resend] wrote, and returns false when it has left.
func Withdraw(ctx context.Context, tx once.Tx, r retry.Resend) (bool, error) {
	return patterns.Outbox.TakeBack(ctx, tx, alert.Troubles{}, r.Consumer, r.AggregateID, r.EventID, r.ReplayNo)
}

// Waiting names of some replays those that have not left yet.
func Waiting(ctx context.Context, db once.DB, replays []retry.Resend) ([]retry.Resend, error) {
	ids := make([]string, len(replays))
	for i, r := range replays {
		ids[i] = r.EventID
	}
	rows, err := patterns.Outbox.Replays(ctx, db, ids)
	waiting := make([]retry.Resend, len(rows))
	for i, row := range rows {
		waiting[i] = retry.Resend{EventID: row.EventID, Consumer: row.Queue, ReplayNo: row.Replay}
	}
	return waiting, err
}

// DeadLetters are the shop's: what is sent again goes through its outbox. limit is how old
// an event may be and still be replayed.
func DeadLetters(db *postgres.DB, limit time.Duration) retry.DeadLetters {
	return retry.DeadLetters{
		DB: db.Once(), Table: patterns.Letters, Format: patterns.Format, Troubles: alert.Troubles{},
		Resend: Resend, Withdraw: Withdraw, Waiting: Waiting, Takes: patterns.Takes, Limit: limit, ByBusinessKey: ByBusinessKey,
	}
}

// ByBusinessKey says whether every effect of a consumer is unique for ever by a
// key of the business, so that an event which its inbox has forgotten may be
// applied once more.
func ByBusinessKey(consumer string) bool {
	i := slices.IndexFunc(Consumers, func(c Consumer) bool { return c.Name == consumer })
	return i >= 0 && Consumers[i].ByBusinessKey
}
