package event

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/pattern/outbox"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
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
	return outbox.Append(ctx, postgres.Reading(tx), outbox.Event{
		ID: patterns.ID(r.EventID), Destination: r.Consumer, Replay: r.ReplayNo, PastWindow: r.PastWindow,
		Scope: patterns.ID(r.Scope), Correlation: patterns.ID(r.Correlation),
		AggregateType: noun, AggregateID: patterns.ID(r.AggregateID), AggregateVersion: r.AggregateVersion,
		Type: r.Type, Payload: r.Payload, Traceparent: r.Traceparent,
	})
}

// Withdraw removes what [Resend] wrote, and returns false when it has left.
func Withdraw(ctx context.Context, tx once.Tx, r retry.Resend) (bool, error) {
	return outbox.TakeBack(ctx, postgres.Reading(tx), r.Consumer, patterns.ID(r.AggregateID), patterns.ID(r.EventID), r.ReplayNo)
}

// Waiting names of some replays those that have not left yet.
func Waiting(ctx context.Context, db once.DB, replays []retry.Resend) ([]retry.Resend, error) {
	ids := make([]uuid.UUID, len(replays))
	for i, r := range replays {
		ids[i] = patterns.ID(r.EventID)
	}
	rows, err := outbox.Replays(ctx, postgres.Of(db), ids)
	waiting := make([]retry.Resend, len(rows))
	for i, row := range rows {
		waiting[i] = retry.Resend{EventID: row.EventID.String(), Consumer: row.Queue, ReplayNo: row.Replay}
	}
	return waiting, err
}

// takes says why a consumer's queue would not take a replay now.
func takes(ctx context.Context, tx once.Tx, consumer string) error {
	return outbox.Takes(ctx, postgres.Reading(tx), consumer)
}

// DeadLetters are the shop's: what is sent again goes through its outbox. limit is how old
// an event may be and still be replayed.
func DeadLetters(db *postgres.DB, limit time.Duration) retry.DeadLetters {
	return retry.DeadLetters{
		DB: db.Once(), Table: patterns.Letters, Format: patterns.Format, Troubles: alert.Troubles{},
		Resend: Resend, Withdraw: Withdraw, Waiting: Waiting, Takes: takes, Limit: limit, ByBusinessKey: ByBusinessKey,
	}
}

// ByBusinessKey says whether every effect of a consumer is unique for ever by a
// key of the business, so that an event which its inbox has forgotten may be
// applied once more.
func ByBusinessKey(consumer string) bool {
	i := slices.IndexFunc(Consumers, func(c Consumer) bool { return c.Name == consumer })
	return i >= 0 && Consumers[i].ByBusinessKey
}
