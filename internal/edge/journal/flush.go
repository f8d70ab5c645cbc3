package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/idempotency"
)

// batchRows bounds one statement; ids of one millisecond stay in order up to 4,096.
const batchRows = 1000

// Flush writes everything that was collected before the call, and only that:
// under load there is always something new, and a flush that waited for the end
// of it would write a transaction for every few records and never reach the
// other kind. After an error some of it is still waiting, or was dropped and
// counted.
func (j *Journal) Flush(ctx context.Context) error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	return errors.Join(j.flushAttempts(ctx), j.flushActivity(ctx))
}

func (j *Journal) flushAttempts(ctx context.Context) error {
	j.mu.Lock()
	left := len(j.attempts)
	j.mu.Unlock()
	for left > 0 {
		j.mu.Lock()
		batch := j.attempts[:min(left, batchRows)]
		j.mu.Unlock()
		left -= len(batch)
		statement := insertAttemptsSQL
		if j.unsure {
			statement += onceMoreSQL
		}
		err := postgres.InTx(ctx, j.opts.DB, func(tx postgres.Tx) error { return insert(ctx, tx, statement, attemptRows(batch)) })
		if j.unsure = err != nil && away(err); j.unsure {
			return err // written or not, the next flush writes the same ids
		}
		j.mu.Lock()
		j.attempts = shift(j.attempts, len(batch))
		if err != nil {
			j.dropped += int64(len(batch))
		}
		j.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) flushActivity(ctx context.Context) error {
	j.mu.Lock()
	left := len(j.activity)
	j.mu.Unlock()
	for left > 0 {
		j.mu.Lock()
		batch := j.activity[:min(left, batchRows)]
		j.mu.Unlock()
		left -= len(batch)
		err := postgres.InTx(ctx, j.opts.DB, func(tx postgres.Tx) error {
			var now time.Time
			if err := tx.Get(ctx, &now, `SELECT clock_timestamp()`); err != nil {
				return err
			}
			return insert(ctx, tx, insertActivitySQL, activityRows(batch, now))
		})
		if err != nil && away(err) && !errors.Is(err, once.ErrCommitUnknown) {
			return err // not written for certain: it waits for the next flush
		}
		j.mu.Lock()
		j.activity = shift(j.activity, len(batch))
		if err != nil {
			j.dropped += int64(len(batch))
		}
		j.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// away says whether the failure has nothing to do with the rows.
func away(err error) bool {
	return once.Unavailable(err) || once.Canceled(err) || once.LockTimeout(err) || errors.Is(err, once.ErrCommitUnknown) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// shift takes n records from the front without keeping the old array alive.
func shift[T any](list []T, n int) []T {
	if n == len(list) {
		return nil
	}
	return append([]T(nil), list[n:]...)
}

func insert(ctx context.Context, tx postgres.Tx, query string, rows any) error {
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, query, string(text))
	return err
}

// The id is the writer's own: a batch whose commit was lost is written again
// and adds nothing. Only then it is asked for: each row that may conflict is
// written twice into the log.
const insertAttemptsSQL = `
INSERT INTO attempts (id, merchant_id, payment_id, operation, idempotency_key, fate, status_code, latency_us, trace_id, at)
SELECT id, merchant_id, payment_id, operation, idempotency_key, fate, status_code, latency_us, trace_id, at
  FROM json_to_recordset($1::json) AS r (id uuid, merchant_id uuid, payment_id uuid, operation text, idempotency_key text,
       fate text, status_code integer, latency_us bigint, trace_id text, at timestamptz)`

const onceMoreSQL = ` ON CONFLICT (id) DO NOTHING`

type attemptRow struct {
	ID       uuid.UUID  `json:"id"`
	Merchant uuid.UUID  `json:"merchant_id"`
	Payment  *uuid.UUID `json:"payment_id"`
	Op       string     `json:"operation"`
	Key      string     `json:"idempotency_key"`
	Fate     string     `json:"fate"`
	Status   int        `json:"status_code"`
	Latency  int64      `json:"latency_us"`
	TraceID  string     `json:"trace_id"`
	At       time.Time  `json:"at"`
}

func attemptRows(batch []Attempt) []attemptRow {
	rows := make([]attemptRow, 0, len(batch))
	for _, a := range batch {
		rows = append(rows, attemptRow{ID: a.id, Merchant: a.Merchant, Payment: idOrNull(a.Payment), Op: a.Operation, Key: clean(a.Key),
			Fate: a.Fate, Status: a.Status, Latency: a.Latency.Microseconds(), TraceID: a.TraceID, At: a.At})
	}
	return rows
}

const insertActivitySQL = `
INSERT INTO activity (id, merchant_id, payment_id, at, kind, node, facts)
SELECT id, merchant_id, payment_id, at, kind, node, facts
  FROM json_to_recordset($1::json) AS r (id uuid, merchant_id uuid, payment_id uuid, at timestamptz, kind text, node text, facts jsonb)`

// idAt makes the id of a batch's row, as uuid_v7 does, by the database's clock: hosts need
// not agree on the time. The bits after the version are the fraction of the millisecond,
// and the row's number keeps a batch in its order.
func idAt(now time.Time, no int) uuid.UUID {
	id := uuid.New()
	us := now.UnixMicro()
	binary.BigEndian.PutUint64(id[:8], uint64(us/1000)<<16|0x7000|uint64(us%1000*4096/1000))
	binary.BigEndian.PutUint16(id[8:10], 0x8000|uint16(no%4096))
	return id
}

type activityRow struct {
	ID       uuid.UUID    `json:"id"`
	Merchant *uuid.UUID   `json:"merchant_id"`
	Payment  *uuid.UUID   `json:"payment_id"`
	At       time.Time    `json:"at"`
	Kind     observe.Kind `json:"kind"`
	Node     string       `json:"node"`
	Facts    facts        `json:"facts"`
}

// facts are what is shown beside time, kind and node. A key is shown by its
// last four characters only.
type facts struct {
	Operation string     `json:"operation,omitempty"`
	KeySuffix string     `json:"key_suffix,omitempty"`
	Attempt   int        `json:"attempt,omitempty"`
	TraceID   string     `json:"trace_id,omitempty"`
	EventID   *uuid.UUID `json:"event_id,omitempty"`
	Type      string     `json:"type,omitempty"`
	Detail    string     `json:"detail,omitempty"`
}

func activityRows(batch []entry, now time.Time) []activityRow {
	rows := make([]activityRow, 0, len(batch))
	for no, one := range batch {
		e := one.event
		rows = append(rows, activityRow{
			ID: idAt(now, no), Merchant: idOrNull(e.Scope), Payment: idOrNull(e.Correlation), At: e.At, Kind: e.Kind, Node: e.Node,
			Facts: facts{
				Operation: clean(e.Operation), KeySuffix: clean(idempotency.Suffix(e.Key)), Attempt: e.Attempt, TraceID: one.traceID,
				EventID: idOrNull(e.EventID), Type: clean(e.Type), Detail: clean(e.Detail),
			},
		})
	}
	return rows
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// clean makes text fit for a column: one record with U+0000 would otherwise
// take its whole batch along.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�")
}
