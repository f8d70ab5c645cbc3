package retry

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

// Kinds of alerts that this package raises.
var (
	// AlertDead is about one letter; its subject is consumer/event.
	AlertDead = alert.Kind{
		Name:   "dead_letter",
		Means:  "a message waits for a person",
		Remedy: "see *Dead letters*: replay, apply or discard",
		Ends:   "the letter, when it is closed: its replay was applied, or a person decided",
	}
	// AlertReturned is about a route of the schedule that is gone; its subject is
	// the route.
	AlertReturned = alert.Kind{
		Name:   "retry_unroutable",
		Means:  "a queue of the retry schedule is gone; failed messages wait in hand",
		Remedy: "restart a worker, which declares it",
		Ends:   "the consumer, with the next message that the route takes",
	}
)

// subjectOf is what a letter's alert is about.
func subjectOf(consumer, eventKey string) string { return consumer + "/" + eventKey }

func raiseDead(ctx context.Context, tx postgres.Tx, l letter) error {
	return AlertDead.Raise(ctx, tx, l.scope, subjectOf(l.consumer, l.eventKey), map[string]any{
		"consumer": l.consumer, "event_id": l.eventKey, "type": l.kind, "class": string(l.class), "reason": l.reason, "attempts": l.attempts,
	})
}

// resolveDead closes a letter's alert in the transaction that closes the letter.
func resolveDead(ctx context.Context, tx postgres.Tx, consumer, eventKey string) error {
	_, err := alert.Resolve(ctx, tx, subjectOf(consumer, eventKey), AlertDead)
	return err
}

// RaiseReturned says that the broker returned a failed message: a route of the
// schedule is gone. Said twice it is one alert.
func RaiseReturned(ctx context.Context, db *postgres.DB, consumer, route, reason string) error {
	return AlertReturned.RaiseAlone(ctx, db, uuid.Nil, route, map[string]any{"consumer": consumer, "reason": clip(reason)})
}

// ResolveReturned says that the route works again.
func ResolveReturned(ctx context.Context, db *postgres.DB, route string) error {
	return alert.ResolveAlone(ctx, db, route, AlertReturned)
}

func orNull(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}
