package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/edge/wire"
)

const (
	// overlap is read again with each look. Ids are drawn before the commit, so
	// a row can appear behind rows that were already sent: "id > last seen"
	// would lose it.
	overlap = 2 * time.Second
	// lookLimit bounds one look; what is beyond it comes with the next.
	lookLimit = 4000
	// beatsPause is the pause between looks at the heartbeats.
	beatsPause = 500 * time.Millisecond
)

// reader is the state of the one goroutine that polls.
type reader struct {
	tail *Tail
	// sent remembers the rows of the overlap.
	sent map[uuid.UUID]time.Time
	// lastLook is when the journal was last read with success, by this host's
	// clock: only differences are used.
	lastLook  time.Time
	lastBeats time.Time
	processes map[string]Process
}

// forget begins anew after a time without listeners.
func (r *reader) forget() {
	clear(r.sent)
	r.lastLook, r.processes = time.Time{}, nil
}

func (r *reader) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	now := time.Now() //nolint:forbidigo // differences of one host's clock
	err := r.lookAtRows(ctx, now)
	if err == nil && now.Sub(r.lastBeats) >= beatsPause {
		err = r.lookAtProcesses(ctx, now)
	}
	if err != nil && ctx.Err() == nil {
		r.tail.opts.Log.Debug("journal: look failed", "error", err)
	}
	r.tail.setOffline(err != nil)
}

func (r *reader) lookAtRows(ctx context.Context, now time.Time) error {
	window := overlap
	if !r.lastLook.IsZero() {
		window += now.Sub(r.lastLook)
	}
	var rows []row
	merchants := r.tail.merchants()
	if err := r.tail.opts.DB.Select(ctx, &rows, recentSQL, window.Seconds(), pq.Array(merchants), lookLimit); err != nil {
		return err
	}
	r.lastLook = now
	for _, one := range rows {
		if _, known := r.sent[one.ID]; known {
			continue
		}
		r.sent[one.ID] = now
		r.tail.tell(one.Merchant, Message{Signal: SignalActivity, Activity: one.view(), Resumable: true})
	}
	for id, at := range r.sent {
		if now.Sub(at) > overlap+window {
			delete(r.sent, id)
		}
	}
	return nil
}

func (r *reader) lookAtProcesses(ctx context.Context, now time.Time) error {
	processes, err := r.tail.Processes(ctx)
	if err != nil {
		return err
	}
	r.lastBeats = now
	if r.processes == nil {
		r.processes = map[string]Process{}
	}
	for _, p := range processes {
		before, known := r.processes[p.Name]
		changed := known && before.Up() != p.Up()
		switch {
		case known && p.interrupted(before):
			p.Instances, changed = 0, true // up with the next look, so that both are seen
		case !known && !p.Up() && p.BeatAt != nil:
			changed = true // it died between the listener's question and the first look
		}
		if changed {
			r.tail.tell(uuid.Nil, processMessage(p, now))
		}
		r.processes[p.Name] = p
	}
	return nil
}

// The window is measured by the database's clock, as the ids are. The newest
// rows are read first, so that a burst beyond the limit loses its beginning
// (the client's state has it) and never its end.
const recentSQL = `
SELECT id, merchant_id, payment_id, at, kind, node, facts FROM (
  SELECT id, merchant_id, payment_id, at, kind, node, facts
    FROM activity
   WHERE id >= uuid_v7_floor(clock_timestamp() - $1::float8 * interval '1 second') AND merchant_id = ANY ($2::uuid[])
   ORDER BY id DESC LIMIT $3) newest
 ORDER BY id`

// row is one row of activity.
type row struct {
	ID       uuid.UUID     `db:"id"`
	Merchant uuid.UUID     `db:"merchant_id"`
	Payment  uuid.NullUUID `db:"payment_id"`
	At       time.Time     `db:"at"`
	Kind     string        `db:"kind"`
	Node     string        `db:"node"`
	Facts    []byte        `db:"facts"`
}

func (r row) view() *wire.Activity {
	var f facts
	// The column holds what Flush wrote; a stranger's row is shown without facts.
	_ = json.Unmarshal(r.Facts, &f)
	v := &wire.Activity{ID: r.ID.String(), At: wire.At(r.At), Kind: wire.ActivityKind(r.Kind), Node: r.Node,
		Operation: textOrNil(f.Operation), KeySuffix: textOrNil(f.KeySuffix), TraceID: textOrNil(f.TraceID),
		Type: textOrNil(f.Type), Detail: textOrNil(f.Detail)}
	if r.Payment.Valid {
		id := wire.PrefixPayment.ID(r.Payment.UUID)
		v.PaymentID = &id
	}
	if f.EventID != nil {
		id := wire.PrefixEvent.ID(*f.EventID)
		v.EventID = &id
	}
	if f.Attempt != 0 {
		v.Attempt = &f.Attempt
	}
	return v
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

const (
	// resumeFrom is how far before the client's last id a resume begins.
	resumeFrom = 10 * time.Second
	// resumeLimit bounds a resume; a client that missed more reloads its state.
	resumeLimit = 5000
)

const knownSQL = `SELECT count(*) FROM activity WHERE id = $1 AND merchant_id = $2`

const resumeSQL = `
SELECT id, merchant_id, payment_id, at, kind, node, facts
  FROM activity
 WHERE merchant_id = $1 AND id >= uuid_v7_floor(to_timestamp($2::float8))
 ORDER BY id LIMIT $3`

// Resume returns what a client gets that comes back with the last id it has:
// everything from ten seconds before it, again. It is a reset when the journal
// does not know the id, or when too much was missed.
func (t *Tail) Resume(ctx context.Context, merchant uuid.UUID, last string) ([]Message, error) {
	reset := []Message{{Signal: SignalReset}}
	id, err := uuid.Parse(last)
	if err != nil || id.Version() != 7 {
		return reset, nil
	}
	var known int
	if err := t.opts.DB.Get(ctx, &known, knownSQL, id, merchant); err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	if known == 0 {
		return reset, nil
	}
	var rows []row
	from := float64(millis(id))/1000 - resumeFrom.Seconds()
	if err := t.opts.DB.Select(ctx, &rows, resumeSQL, merchant, from, resumeLimit+1); err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	if len(rows) > resumeLimit {
		return reset, nil
	}
	again := make([]Message, 0, len(rows))
	for _, one := range rows {
		again = append(again, Message{Signal: SignalActivity, Activity: one.view(), Resumable: true})
	}
	return again, nil
}

// millis is the time within a UUIDv7.
func millis(id uuid.UUID) int64 {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}
