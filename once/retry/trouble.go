package retry

import (
	"context"

	"payonce/once"
)

// What this package raises for a person.
var (
	// TroubleDead is about one letter; its subject is consumer/event.
	TroubleDead = once.TroubleKind{
		Name:   "dead_letter",
		Means:  "a message waits for a person",
		Remedy: "see *Dead letters*: replay, apply or discard",
		Ends:   "the letter, when it is closed: its replay was applied, or a person decided",
	}
	// TroubleReturned is about a route of the schedule that is gone; its subject is
	// the route.
	TroubleReturned = once.TroubleKind{
		Name:   "retry_unroutable",
		Means:  "a queue of the retry schedule is gone; failed messages wait in hand",
		Remedy: "restart a worker, which declares it",
		Ends:   "the consumer, with the next message that the route takes",
	}
)

// subject is what a letter's trouble is about.
func (l Letter) subject() string { return l.Consumer + "/" + l.EventID }

func raiseDead(ctx context.Context, tx once.Tx, troubles once.Troubles, l Letter) error {
	return troubles.Raise(ctx, tx, once.Trouble{Kind: TroubleDead, Scope: l.Scope, Subject: l.subject(), Facts: map[string]any{
		"consumer": l.Consumer, "event_id": l.EventID, "type": l.Type, "class": l.Class, "reason": l.Reason, "attempts": l.Attempts,
	}})
}

// RaiseReturned says that the broker returned a failed message: a route of the
// schedule is gone. Said twice it is one trouble.
func RaiseReturned(ctx context.Context, db once.DB, troubles once.Troubles, consumer, route, reason string) error {
	return db.InTx(ctx, func(tx once.Tx) error {
		return troubles.Raise(ctx, tx, once.Trouble{Kind: TroubleReturned, Subject: route, Facts: map[string]any{
			"consumer": consumer, "reason": clip(reason),
		}})
	})
}

// EndReturned says that the route works again.
func EndReturned(ctx context.Context, db once.DB, troubles once.Troubles, route string) error {
	return db.InTx(ctx, func(tx once.Tx) error { return troubles.End(ctx, tx, route, TroubleReturned) })
}
