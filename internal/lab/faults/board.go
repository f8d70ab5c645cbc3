package faults

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Fault is something armed: which hit of which point does what, and for whom.
type Fault struct {
	Seq      int64     `db:"seq"`
	Merchant uuid.UUID `db:"merchant_id"` // whose it is
	Point    string    `db:"point"`
	Action   string    `db:"action"`
	// Scope is the payment or the merchant that the hits must be about.
	Scope uuid.UUID `db:"scope"`
	Nth   int       `db:"nth"`
	// ForMS is how long a stop or a delay lasts; 0 means the action's own time.
	ForMS   int64     `db:"for_ms"`
	Hits    int       `db:"hits"`
	ArmedAt time.Time `db:"armed_at"`
}

// For is ForMS as a duration.
func (f Fault) For() time.Duration { return time.Duration(f.ForMS) * time.Millisecond }

const (
	// every is how often a process looks at the board when it hears nothing of it.
	every = 2 * time.Second
	// channel is where a change of the board is heard of. Each arming is a
	// transaction of its own, no business one.
	channel = "payonce_faults"
	// again is how often Arm asks who has seen it.
	again = 10 * time.Millisecond
	// patience is how long Arm waits for a process that does not look: a stopped
	// one will when it wakes.
	patience = 3 * time.Second
	// claimLimit bounds how long a hit waits for its claim.
	claimLimit = 2 * time.Second
)

// Board is what is armed, as one process sees it.
type Board struct {
	db   *postgres.DB
	dsn  string
	log  *slog.Logger
	name string // of this process, in pg_stat_activity too

	mu        sync.Mutex
	known     []Fault
	announced int64 // what the others believe that this process has seen
}

// prefix begins the name under which a process looks.
const prefix = "payonce-faults/"

// Open makes a board that has connections of its own. It does not connect yet.
func Open(ctx context.Context, pg postgres.Config, log *slog.Logger) (*Board, error) {
	b := &Board{dsn: pg.DSN, log: log, name: prefix + uuid.NewString()}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	var err error
	b.db, err = postgres.Open(ctx, postgres.Config{DSN: pg.DSN, PoolSize: 2, AppName: b.name})
	return b, err
}

// Run looks at the board until ctx ends. The first look that succeeds closes
// looked.
func (b *Board) Run(ctx context.Context, looked chan<- struct{}) {
	defer func() { _ = b.db.Close() }()
	made, changed := false, make(chan struct{}, 1)
	var ear sync.WaitGroup
	defer ear.Wait()
	ear.Go(func() {
		postgres.Listen(ctx, b.dsn, channel, b.log, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	for ctx.Err() == nil {
		err, pause := b.look(ctx, &made), every
		switch {
		case err != nil && ctx.Err() == nil:
			pause = every / 10 // a database that comes back says nothing by itself
			b.log.Debug("the board of faults cannot be read", "error", err)
		case err == nil && looked != nil:
			close(looked)
			looked = nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(pause):
		}
	}
}

func (b *Board) look(ctx context.Context, made *bool) error {
	ctx, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	if !*made {
		if err := Make(ctx, b.db); err != nil {
			return err
		}
		*made = true
	}
	return b.read(ctx)
}

const (
	newestSQL = `SELECT coalesce(max(seq), 0) FROM lab.faults`
	armedSQL  = `SELECT seq, merchant_id, point, action, scope, nth, for_ms, hits, armed_at FROM lab.faults WHERE fired_at IS NULL ORDER BY seq`
	// Of a process that is gone nobody asks what it has seen.
	seenSQL = `INSERT INTO lab.fault_watchers (name, seen) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen`
	goneSQL = `DELETE FROM lab.fault_watchers WHERE name NOT IN (SELECT application_name FROM pg_stat_activity)`
)

// read takes over what is armed and then says so: whoever waits for this process
// must find it armed.
func (b *Board) read(ctx context.Context) error {
	var newest int64 // read first: everything up to it is seen then, or has fired
	var now []Fault
	if err := b.db.Get(ctx, &newest, newestSQL); err != nil {
		return err
	}
	if err := b.db.Select(ctx, &now, armedSQL); err != nil {
		return err
	}
	b.mu.Lock()
	b.known = now
	b.mu.Unlock()
	if newest <= b.announced {
		return nil
	}
	err := postgres.InTx(ctx, b.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, seenSQL, b.name, newest); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, goneSQL)
		return err
	})
	if err == nil {
		b.announced = newest
	}
	return err
}

// The lock makes the order of seq the order of commits: who has seen a number
// has seen all below it.
const (
	inTurnSQL     = `SELECT pg_advisory_xact_lock(hashtext('payonce.lab.faults'))`
	sayChangedSQL = `SELECT pg_notify('` + channel + `', '')`
	armSQL        = `
INSERT INTO lab.faults (merchant_id, point, action, scope, nth, for_ms) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING seq, merchant_id, point, action, scope, nth, for_ms, hits, armed_at`
	blindSQL = `
SELECT count(DISTINCT a.application_name) FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.application_name LIKE $1 || '%'
   AND NOT EXISTS (SELECT 1 FROM lab.fault_watchers w WHERE w.name = a.application_name AND w.seen >= $2)`
)

// Arm puts a fault on the board and waits until every process has seen it. One
// that does not look for some seconds, because it is stopped, is not waited for.
func (b *Board) Arm(ctx context.Context, f Fault) (Fault, error) {
	err := postgres.InTx(ctx, b.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, inTurnSQL); err != nil {
			return err
		}
		if err := tx.Get(ctx, &f, armSQL, f.Merchant, f.Point, f.Action, f.Scope, max(f.Nth, 1), f.ForMS); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sayChangedSQL)
		return err
	})
	if err != nil {
		return f, fmt.Errorf("arm %s: %w", f.Point, err)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var blind int
		if err := b.db.Get(waiting, &blind, blindSQL, prefix, f.Seq); err == nil && blind == 0 {
			return f, nil
		}
		select {
		case <-waiting.Done():
			return f, ctx.Err()
		case <-time.After(again):
		}
	}
}

const ofSQL = `
SELECT seq, merchant_id, point, action, scope, nth, for_ms, hits, armed_at
  FROM lab.faults WHERE merchant_id = $1 AND fired_at IS NULL ORDER BY seq`

// Of lists what is armed for a merchant.
func (b *Board) Of(ctx context.Context, merchant uuid.UUID) ([]Fault, error) {
	list := []Fault{}
	err := b.db.Select(ctx, &list, ofSQL, merchant)
	return list, err
}

const disarmSQL = `DELETE FROM lab.faults WHERE merchant_id = $1 AND fired_at IS NULL`

// Disarm takes everything of a merchant off the board and says how much it was.
// At once: a process that has not looked since finds nothing to claim.
func (b *Board) Disarm(ctx context.Context, merchant uuid.UUID) (n int64, err error) {
	err = postgres.InTx(ctx, b.db, func(tx postgres.Tx) (err error) {
		n, err = tx.Exec(ctx, disarmSQL, merchant)
		return err
	})
	return n, err
}

// Claim returns the fault that fires at this hit, if one does: hits are counted
// in the table, over all processes, and one of them gets it.
func (b *Board) Claim(point string, ids []uuid.UUID) (Fault, bool) {
	for _, f := range b.meant(point, ids) {
		// The caller's context is none of a crash point's business.
		ctx, cancel := context.WithTimeout(context.Background(), claimLimit)
		fires, err := b.hit(ctx, f)
		cancel()
		if err != nil {
			b.log.Debug("a hit was not counted", "point", point, "error", err)
			continue
		}
		if fires {
			return f, true
		}
	}
	return Fault{}, false
}

func (b *Board) meant(point string, ids []uuid.UUID) (list []Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.known {
		if f.Point == point && slices.Contains(ids, f.Scope) {
			list = append(list, f)
		}
	}
	return list
}

const hitSQL = `
UPDATE lab.faults SET hits = hits + 1, fired_by = $2, fired_at = CASE WHEN hits + 1 >= nth THEN clock_timestamp() END
 WHERE seq = $1 AND fired_at IS NULL
RETURNING fired_at IS NOT NULL`

func (b *Board) hit(ctx context.Context, f Fault) (fires bool, err error) {
	err = postgres.InTx(ctx, b.db, func(tx postgres.Tx) error {
		var found []bool
		err := tx.Select(ctx, &found, hitSQL, f.Seq, b.name)
		fires = len(found) == 1 && found[0]
		return err
	})
	return fires && err == nil, err
}
