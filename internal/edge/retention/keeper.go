package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

const (
	outboxTable = "outbox_events"
	inboxTable  = "consumer_inbox"
)

// AlertOutbox is about an event that nobody publishes; its subject is the outbox.
var AlertOutbox = alert.Kind{
	Name:   "outbox_age",
	Means:  "committed events are not published",
	Remedy: "is a relay running, does the broker take messages?",
	Ends:   "retention, when the oldest unpublished event is young again",
}

// Config wires a [Keeper].
type Config struct {
	DB      *postgres.DB
	Windows Windows
	// ArchiveDir is where events of ArchiveTypes are kept before their day is
	// dropped; empty means that they are not.
	ArchiveDir   string
	ArchiveTypes []string
	Log          *slog.Logger // nil means silence
	Now          func() time.Time
	// Days and Rows are how often days are made and dropped, and old rows
	// removed; 0 means an hour and a minute.
	Days, Rows time.Duration
}

// Keeper makes partitions ahead and removes what is over. Any number of
// processes may run one.
type Keeper struct {
	cfg          Config
	keptCount    atomic.Int64
	archivedRows atomic.Int64
	daysLeft     atomic.Int64

	mu      sync.Mutex
	removed map[string]int64
	ran     map[string]time.Time
}

// New checks the wiring, the windows (see [Lint]) and that the archive's folder
// can be written to.
func New(cfg Config) (*Keeper, error) {
	if cfg.DB == nil || cfg.Now == nil {
		return nil, errors.New("retention: a keeper needs a database and a clock")
	}
	if err := Lint(cfg.Windows); err != nil {
		return nil, err
	}
	if cfg.ArchiveDir != "" {
		f, err := os.CreateTemp(cfg.ArchiveDir, "try.*"+partialSuffix)
		if err != nil {
			return nil, fmt.Errorf("PAYONCE_ARCHIVE_DIR cannot be written to: %w", err)
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return nil, fmt.Errorf("PAYONCE_ARCHIVE_DIR cannot be written to: %w", err)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Days == 0 {
		cfg.Days = time.Hour
	}
	if cfg.Rows == 0 {
		cfg.Rows = time.Minute
	}
	return &Keeper{cfg: cfg, removed: map[string]int64{}, ran: map[string]time.Time{}}, nil
}

// task is one kind of work with a timer of its own, so that a table in trouble
// does not keep the others from being looked after.
type task struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
}

func (k *Keeper) tasks() []task {
	all := []task{
		{"partitions", k.cfg.Days, k.partitions},
		{"outbox_age", k.cfg.Rows, k.watchOutbox},
		{"days", k.cfg.Rows, k.watchDays},
	}
	for _, r := range k.aged() {
		all = append(all, task{r.table, k.cfg.Rows, func(ctx context.Context) error { return k.removeOld(ctx, r) }})
	}
	return all
}

// Run works until ctx ends. A task that fails says so and is tried again after a
// minute at most.
func (k *Keeper) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, t := range k.tasks() {
		all.Go(func() {
			for ctx.Err() == nil {
				next := t.every
				if err := k.do(ctx, t); err != nil && ctx.Err() == nil {
					k.cfg.Log.Error("retention", "task", t.name, "error", err)
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
			all = errors.Join(all, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	return all
}

func (k *Keeper) do(ctx context.Context, t task) error {
	err := t.run(ctx)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ran[t.name] = k.cfg.Now()
	}
	return err
}

// partitions makes the coming days before it drops the old ones: the first is
// what a capture would break of.
func (k *Keeper) partitions(ctx context.Context) error {
	err := MakeAhead(ctx, k.cfg.DB)
	for table, window := range map[string]time.Duration{outboxTable: k.cfg.Windows.Outbox, inboxTable: k.cfg.Windows.Inbox} {
		err = errors.Join(err, k.dropOverdue(ctx, table, window))
	}
	err = errors.Join(err, k.gone(ctx))
	left, leftErr := DaysLeft(ctx, k.cfg.DB)
	if leftErr == nil {
		k.daysLeft.Store(int64(left))
	}
	return errors.Join(err, leftErr)
}

const oldestSQL = `
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 FROM outbox_events WHERE published_at IS NULL`

// watchOutbox tells a person when events are not published. The inbox's window
// counts on it: see [Lint].
func (k *Keeper) watchOutbox(ctx context.Context) error {
	var oldest float64
	if err := k.cfg.DB.Get(ctx, &oldest, oldestSQL); err != nil {
		return err
	}
	if oldest < k.cfg.Windows.OutboxAlarm.Seconds() {
		return alert.ResolveAlone(ctx, k.cfg.DB, outboxTable, AlertOutbox)
	}
	return AlertOutbox.RaiseAlone(ctx, k.cfg.DB, uuid.Nil, outboxTable, map[string]any{
		"oldest_seconds": int64(oldest), "limit_seconds": int64(k.cfg.Windows.OutboxAlarm.Seconds()),
		"reason": "events are committed and not published: is a relay running, and does the broker take them?",
	})
}

// Tables are the names under which [Stats] counts what was removed: partitions
// of the first two, rows of the others.
func (k *Keeper) Tables() []string {
	names := []string{outboxTable, inboxTable}
	for _, r := range k.aged() {
		names = append(names, r.table)
	}
	return names
}

// Tasks are the names under which [Stats] tells when a task last succeeded.
func (k *Keeper) Tasks() (names []string) {
	for _, t := range k.tasks() {
		names = append(names, t.name)
	}
	return names
}

// Stats is what a keeper has done since it was made.
type Stats struct {
	Removed      map[string]int64     // partitions or rows, by table
	Ran          map[string]time.Time // the last success, by task
	Kept         int64                // times that a day stayed
	ArchivedRows int64
	DaysLeft     int64 // as last looked
}

// Stats tells what happened so far, for metrics and tests.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Stats{
		Removed: maps.Clone(k.removed), Ran: maps.Clone(k.ran), Kept: k.keptCount.Load(),
		ArchivedRows: k.archivedRows.Load(), DaysLeft: k.daysLeft.Load(),
	}
}

func (k *Keeper) count(table string, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed[table] += n
}
