package retry

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Kinds of alerts that this package raises.
const (
	// AlertDead is about one letter; its subject is consumer/event.
	AlertDead = "dead_letter"
	// AlertReturned is about a route of the schedule that is gone; failed
	// messages wait in hand until it is back.
	AlertReturned = "retry_unroutable"
)

// An alert that is still open is not said twice.
const raiseSQL = `
INSERT INTO alerts (id, merchant_id, kind, subject, facts)
VALUES ($1, $2, $3, $4, jsonb_build_object('consumer', $5::text, 'event_id', $6::text, 'type', $7::text,
  'class', $8::text, 'reason', $9::text, 'attempts', $10::int))
ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING`

const resolveSQL = `
UPDATE alerts SET state = 'resolved', resolved_at = clock_timestamp()
WHERE kind = $1 AND subject = $2 AND state = 'open'`

// subjectOf is what a letter's alert is about.
func subjectOf(consumer, eventKey string) string { return consumer + "/" + eventKey }

func raiseDead(ctx context.Context, tx postgres.Tx, l letter) error {
	id, err := uuid.NewV7() // so that a list by id is a list by time
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, raiseSQL, id, orNull(l.scope), AlertDead, subjectOf(l.consumer, l.eventKey),
		l.consumer, l.eventKey, l.kind, string(l.class), l.reason, l.attempts)
	return err
}

// resolveDead closes a letter's alert in the transaction that closes the letter.
func resolveDead(ctx context.Context, tx postgres.Tx, consumer, eventKey string) error {
	_, err := tx.Exec(ctx, resolveSQL, AlertDead, subjectOf(consumer, eventKey))
	return err
}

const raiseReturnedSQL = `
INSERT INTO alerts (id, kind, subject, facts)
VALUES ($1, $2, $3, jsonb_build_object('consumer', $4::text, 'reason', $5::text))
ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING`

// RaiseReturned tells a person that the broker returned a failed message: a
// route of the schedule is gone. Said twice it is one alert.
func RaiseReturned(ctx context.Context, db *postgres.DB, consumer, route, reason string) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, raiseReturnedSQL, id, AlertReturned, route, consumer, clip(reason))
		return err
	})
}

// ResolveReturned says that the route works again.
func ResolveReturned(ctx context.Context, db *postgres.DB, route string) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, resolveSQL, AlertReturned, route)
		return err
	})
}

func orNull(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}
