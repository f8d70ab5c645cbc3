package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/trouble"
)

// TroubleOutbox is about an event that no relay publishes; its subject is the outbox.
var TroubleOutbox = once.TroubleKind{
	Name:   "outbox_age",
	Means:  "committed events are not published",
	Remedy: "is a relay running, does the broker take messages?",
	Ends:   "retention, when the oldest unpublished event is young again",
}

// Config wires a [Keeper].
type Config struct {
	DB      once.DB
	Schema  once.Schema
	Windows Windows
	Days    Days
	// Keys is where idempotency keys are; the zero value means Schema.
	Keys idempotency.Table
	// AnyIDs says that consumers remember events in consumer_inbox_any.
	AnyIDs bool
	// Before is called before a day of outbox_events is dropped, for an archive; its error
	// keeps the day. It may be called again. Nil means that nothing is kept.
	Before func(ctx context.Context, d Day) error
	// Rows are further tables whose rows go by age, and Tasks what else is done as often.
	Rows  []Rows
	Tasks []Task
	// Troubles is where trouble is raised; nil means the table of package
	// payonce/once/trouble, in the schema.
	Troubles once.Troubles
	// Point stops before the step after_commit, behind each day that was dropped, for tests.
	Point func(step string) error
	Log   *slog.Logger     // nil means silence
	Now   func() time.Time // the program's clock; required
	// EachDay and EachRow are how often days are made and dropped, and old rows
	// removed; 0 means an hour and a minute.
	EachDay, EachRow time.Duration
}

// Keeper makes partitions ahead and removes what is over. Any number of
// processes may run one.
type Keeper struct {
	cfg       Config
	keptCount atomic.Int64
	daysLeft  atomic.Int64

	mu      sync.Mutex
	removed map[string]int64
	ran     map[string]time.Time
}

// New checks the wiring and the windows (see [Lint]).
func New(cfg Config) (*Keeper, error) {
	if cfg.DB == nil || cfg.Now == nil {
		return nil, errors.New("retention: a keeper needs a database and a clock")
	}
	if err := Lint(cfg.Windows); err != nil {
		return nil, err
	}
	if cfg.Troubles == nil {
		cfg.Troubles = trouble.Table{Schema: cfg.Schema}
	}
	if cfg.Keys == (idempotency.Table{}) {
		cfg.Keys.Schema = cfg.Schema
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.EachDay == 0 {
		cfg.EachDay = time.Hour
	}
	if cfg.EachRow == 0 {
		cfg.EachRow = time.Minute
	}
	return &Keeper{cfg: cfg, removed: map[string]int64{}, ran: map[string]time.Time{}}, nil
}

// Task is one kind of work with a timer of its own, so that a table in trouble
// does not keep the others from being looked after.
type Task struct {
	Name string
	Run  func(ctx context.Context) error
}

func (k *Keeper) tasks() []Task {
	all := append([]Task{{"partitions", k.partitions}, {"outbox_age", k.watchOutbox}}, k.cfg.Tasks...)
	for _, r := range k.aged() {
		all = append(all, Task{r.Table, func(ctx context.Context) error { return k.removeOld(ctx, r) }})
	}
	return all
}

func (k *Keeper) every(t Task) time.Duration {
	if t.Name == "partitions" {
		return k.cfg.EachDay
	}
	return k.cfg.EachRow
}

// Run works until ctx ends. A task that fails says so and is tried again after a
// minute at most.
func (k *Keeper) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, t := range k.tasks() {
		all.Go(func() {
			for ctx.Err() == nil {
				next := k.every(t)
				if err := k.do(ctx, t); err != nil && ctx.Err() == nil {
					k.cfg.Log.Error("retention", "task", t.Name, "error", err)
					next = min(next, time.Minute)
				}
				select {
				case <-ctx.Done():
				case <-time.After(next):
				}
			}
		})
	}
	all.Wait()
	return nil
}

// RunOnce does every task once, all of them even when one fails.
func (k *Keeper) RunOnce(ctx context.Context) error {
	var all error
	for _, t := range k.tasks() {
		if err := k.do(ctx, t); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", t.Name, err))
		}
	}
	return all
}

func (k *Keeper) do(ctx context.Context, t Task) error {
	err := t.Run(ctx)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ran[t.Name] = k.cfg.Now()
	}
	return err
}

// partitions makes the coming days before it drops the old ones: the first is
// what a write would break of.
func (k *Keeper) partitions(ctx context.Context) error {
	err := MakeAhead(ctx, k.cfg.DB, k.cfg.Schema, k.cfg.Days)
	for table, window := range map[string]time.Duration{outboxTable: k.cfg.Windows.Outbox, inboxTable: k.cfg.Windows.Inbox} {
		err = errors.Join(err, k.dropOverdue(ctx, table, window))
	}
	err = errors.Join(err, k.gone(ctx))
	left, leftErr := DaysLeft(ctx, k.cfg.DB, k.cfg.Schema)
	if leftErr == nil {
		k.daysLeft.Store(int64(left))
	}
	return errors.Join(err, leftErr)
}

const oldestSQL = `
SELECT CAST(coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) AS float8) FROM {outbox_events} WHERE published_at IS NULL`

// watchOutbox says to a person when events are not published. The inbox's window
// counts on it: see [Lint].
func (k *Keeper) watchOutbox(ctx context.Context) error {
	var oldest float64
	rows, err := once.Written(k.cfg.Schema, oldestSQL).Read(ctx, k.cfg.DB, nil)
	if _, err := once.One(rows, err, &oldest); err != nil {
		return err
	}
	return k.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		if oldest < k.cfg.Windows.OutboxAlarm.Seconds() {
			return k.cfg.Troubles.End(ctx, tx, outboxTable, TroubleOutbox)
		}
		return k.cfg.Troubles.Raise(ctx, tx, once.Trouble{Kind: TroubleOutbox, Subject: outboxTable, Facts: map[string]any{
			"oldest_seconds": int64(oldest), "limit_seconds": int64(k.cfg.Windows.OutboxAlarm.Seconds()),
			"reason": "events are committed and not published: is a relay running, and does the broker take them?",
		}})
	})
}

// Tables are the names under which [Stats] counts what was removed: partitions
// of the first two, rows of the others.
func (k *Keeper) Tables() []string {
	names := []string{outboxTable, inboxTable}
	for _, r := range k.aged() {
		names = append(names, r.Table)
	}
	return names
}

// Tasks are the names under which [Stats] says when a task last succeeded.
func (k *Keeper) Tasks() (names []string) {
	for _, t := range k.tasks() {
		names = append(names, t.Name)
	}
	return names
}

// Stats is what a keeper has done since it was made.
type Stats struct {
	Removed  map[string]int64     // partitions or rows, by table
	Ran      map[string]time.Time // the last success, by task
	Kept     int64                // times that a day stayed
	DaysLeft int64                // as last looked
}

// Stats is what happened so far, for metrics and tests.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Stats{Removed: maps.Clone(k.removed), Ran: maps.Clone(k.ran), Kept: k.keptCount.Load(), DaysLeft: k.daysLeft.Load()}
}

func (k *Keeper) count(table string, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed[table] += n
}
