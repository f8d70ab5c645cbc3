package retention

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	keep "payonce/once/retention"
)

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

// Keeper keeps the shop's tables: those of the patterns, and its own. Any number of
// processes may run one.
type Keeper struct {
	*keep.Keeper
	cfg          Config
	archivedRows atomic.Int64
}

// New checks the wiring, the windows (see [Lint]) and that the archive's folder
// can be written to.
func New(cfg Config) (*Keeper, error) {
	if cfg.DB == nil {
		return nil, errors.New("retention: a keeper needs a database")
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
	k := &Keeper{cfg: cfg}
	patterns := keep.Config{
		DB: cfg.DB.Once(), Windows: cfg.Windows.Windows, Days: days, Keys: checkout.KeyTable, Before: k.archive, Rows: k.rows(),
		Tasks: []keep.Task{{Name: "days", Run: k.watchDays}}, Troubles: alert.Troubles{}, Log: cfg.Log, Now: cfg.Now,
		EachDay: cfg.Days, EachRow: cfg.Rows,
	}
	if fault.Enabled {
		patterns.Point = func(string) error { return fault.Point("retention.after_commit") }
	}
	var err error
	k.Keeper, err = keep.New(patterns)
	return k, err
}

// Stats is what a keeper has done since it was made.
type Stats struct {
	keep.Stats
	ArchivedRows int64
}

// Stats is what happened so far, for metrics and tests.
func (k *Keeper) Stats() Stats {
	return Stats{Stats: k.Keeper.Stats(), ArchivedRows: k.archivedRows.Load()}
}
