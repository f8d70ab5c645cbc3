package retry

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// A letter that a replay sent is re-opened only by the death of that same
// replay: an older copy that arrives late must not hide that the newer one
// lives. The same copy twice only renews its last failure. Discarded and
// applied letters stay closed.
const writeLetter = `
INSERT INTO dead_letters AS l (id, merchant_id, consumer, event_id, replay_no, type, class, reason, attempts, headers, payload,
  state, first_failed_at, last_failed_at, closed_at)
VALUES ($14, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  CASE WHEN $11 = 'open' THEN NULL ELSE clock_timestamp() END)
ON CONFLICT ON CONSTRAINT dead_letters_once DO UPDATE SET
  state = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.state ELSE l.state END,
  closed_at = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.closed_at ELSE l.closed_at END,
  class = excluded.class, reason = excluded.reason,
  attempts = greatest(l.attempts, excluded.attempts), headers = excluded.headers,
  last_failed_at = greatest(l.last_failed_at, excluded.last_failed_at)
WHERE l.replay_no = excluded.replay_no
RETURNING l.state`

// write keeps a letter and its alert in step: open with an open alert, closed
// without. It returns the letter's state, empty when an older copy changed
// nothing.
func (c *Collector) write(ctx context.Context, tx postgres.Tx, l letter) (state State, err error) {
	state = Open
	if l.event != uuid.Nil {
		applied, err := c.cfg.Applied(ctx, tx, l.consumer, l.event)
		if err != nil {
			return "", fmt.Errorf("ask the inbox: %w", err)
		}
		if applied {
			state = Applied
		}
	}
	id, err := uuid.NewV7() // so that a list by id is a list by time
	if err != nil {
		return "", err
	}
	var now []State
	err = tx.Select(ctx, &now, writeLetter, orNull(l.scope), l.consumer, l.eventKey, l.replay, l.kind, string(l.class), l.reason, l.attempts,
		l.headers, l.payload, string(state), l.firstFailed, l.lastFailed, id)
	switch {
	case err != nil:
		return "", fmt.Errorf("write the letter: %w", err)
	case len(now) == 0:
		return "", nil
	case now[0] == Open:
		return Open, raiseDead(ctx, tx, l)
	}
	return now[0], resolveDead(ctx, tx, l.consumer, l.eventKey)
}

func (c *Collector) counted(class Class) {
	i := slices.Index(Classes, class)
	if i < 0 {
		i = slices.Index(Classes, ClassPoison) // Nobody of ours calls it so.
	}
	c.died[i].Add(1)
}

// A letter may be cured without a replay: another copy of its event was waiting
// in the schedule while this one died.
const openLetters = `
SELECT id, consumer, event_id FROM dead_letters
WHERE state = 'open' AND event_id NOT LIKE 'sha256:%' AND id > $1
ORDER BY id LIMIT 100`

const closeLetter = `
UPDATE dead_letters SET state = 'applied', closed_at = clock_timestamp()
WHERE id = $1 AND state = 'open'`

// closeApplied closes the open letters whose event was applied after all.
func (c *Collector) closeApplied(ctx context.Context) error {
	type candidate struct {
		ID       uuid.UUID `db:"id"`
		Consumer string    `db:"consumer"`
		EventID  uuid.UUID `db:"event_id"`
	}
	after := uuid.Nil
	for {
		var some []candidate
		if err := c.cfg.DB.Select(ctx, &some, openLetters, after); err != nil {
			return err
		}
		for _, l := range some {
			after = l.ID
			if err := postgres.InTx(ctx, c.cfg.DB, func(tx postgres.Tx) error {
				applied, err := c.cfg.Applied(ctx, tx, l.Consumer, l.EventID)
				if err != nil || !applied {
					return err
				}
				if n, err := tx.Exec(ctx, closeLetter, l.ID); err != nil || n == 0 {
					return err
				}
				return resolveDead(ctx, tx, l.Consumer, l.EventID.String())
			}); err != nil {
				return err
			}
		}
		if len(some) == 0 {
			return nil
		}
	}
}
