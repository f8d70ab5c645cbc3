package retry

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"payonce/once"
)

// A letter that a replay sent is re-opened only by the death of that same
// replay: an older copy that arrives late must not hide that the newer one
// lives. The same copy twice only renews its last failure. Discarded and
// applied letters stay closed.
const writeLetter = `
INSERT INTO {dead_letters} AS l (id, <scope>, consumer, event_id, replay_no, type, class, reason, attempts, headers, payload,
  state, first_failed_at, last_failed_at, closed_at)
VALUES (@id, @whose, @consumer, @event, @replay, @type, @class, @reason, @attempts, @headers, @payload, @state, @first, @last,
  CASE WHEN @state = 'open' THEN NULL ELSE clock_timestamp() END)
ON CONFLICT ON CONSTRAINT dead_letters_once DO UPDATE SET
  state = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.state ELSE l.state END,
  closed_at = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.closed_at ELSE l.closed_at END,
  class = excluded.class, reason = excluded.reason,
  attempts = greatest(l.attempts, excluded.attempts), headers = excluded.headers,
  last_failed_at = greatest(l.last_failed_at, excluded.last_failed_at)
WHERE l.replay_no = excluded.replay_no
RETURNING l.state`

// write keeps a letter and its trouble in step: open with an open one, closed
// without. It returns the letter's state, empty when an older copy changed
// nothing.
func (c *Collector) write(ctx context.Context, tx once.Tx, l Letter) (state State, err error) {
	state = Open
	if l.Event() != "" {
		applied, err := c.cfg.Applied(ctx, tx, l.Consumer, l.EventID)
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
	rows, err := c.table(writeLetter).Query(ctx, tx, once.Args{
		"id": id.String(), "whose": once.OrNull(l.Scope), "consumer": l.Consumer, "event": l.EventID, "replay": l.ReplayNo, "type": l.Type,
		"class": l.Class, "reason": l.Reason, "attempts": l.Attempts, "headers": string(l.RawHeaders), "payload": l.Payload,
		"state": string(state), "first": l.FirstFailed, "last": l.LastFailed,
	})
	written, err := once.One(rows, err, &state)
	switch {
	case err != nil:
		return "", fmt.Errorf("write the letter: %w", err)
	case !written:
		return "", nil
	case state == Open:
		return Open, raiseDead(ctx, tx, c.cfg.Troubles, l)
	}
	return state, c.cfg.Troubles.End(ctx, tx, l.subject(), TroubleDead)
}

func (c *Collector) table(statement string) once.Statement { return c.cfg.Table.in(statement) }

func (c *Collector) counted(class string) {
	i := slices.Index(Classes, Class(class))
	if i < 0 {
		i = slices.Index(Classes, ClassPoison) // Nobody of ours calls it so.
	}
	c.died[i].Add(1)
}

// A letter may be cured without a replay: another copy of its event was waiting
// in the schedule while this one died.
const openLetters = `
SELECT id, consumer, event_id FROM {dead_letters}
WHERE state = 'open' AND event_id NOT LIKE 'sha256:%' AND (id > @after OR @after IS NULL)
ORDER BY id LIMIT 100`

const closeLetter = `
UPDATE {dead_letters} SET state = 'applied', closed_at = clock_timestamp()
WHERE id = @letter AND state = 'open'`

// closeApplied closes the open letters whose event was applied after all.
func (c *Collector) closeApplied(ctx context.Context) error {
	after := ""
	for {
		rows, err := c.table(openLetters).Read(ctx, c.cfg.DB, once.Args{"after": once.OrNull(after)})
		some, err := once.All(rows, err, func(l *Letter) []any { return []any{&l.ID, &l.Consumer, &l.EventID} })
		if err != nil {
			return err
		}
		for _, l := range some {
			after = l.ID
			if err := c.cfg.DB.InTx(ctx, func(tx once.Tx) error { return c.closeIfApplied(ctx, tx, l) }); err != nil {
				return err
			}
		}
		if len(some) == 0 {
			return nil
		}
	}
}

func (c *Collector) closeIfApplied(ctx context.Context, tx once.Tx, l Letter) error {
	applied, err := c.cfg.Applied(ctx, tx, l.Consumer, l.EventID)
	if err != nil || !applied {
		return err
	}
	if n, err := c.table(closeLetter).Exec(ctx, tx, once.Args{"letter": l.ID}); err != nil || n == 0 {
		return err
	}
	return c.cfg.Troubles.End(ctx, tx, l.subject(), TroubleDead)
}
