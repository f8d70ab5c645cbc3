package lesson

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Options say where everything is, seen from the runner.
type Options struct {
	// PostgresDSN is the database that keeps the runs; the simulator's own.
	PostgresDSN string
	// ShopURL is the shop's public address, ShopDSN its database, which is only
	// read; WorldURL is where provider and mailbox answer.
	ShopURL, ShopDSN, WorldURL string
	// WebhookSecrets sign what a lesson sends in the provider's name.
	WebhookSecrets [][]byte
	Log            *slog.Logger
}

// Runner plays lessons and keeps what they found.
type Runner struct {
	opts    Options
	store   store
	shopDB  *postgres.DB
	lessons []Lesson
	explain explanation

	// turns lets runs that disturb everybody be alone: they hold it for
	// themselves, all others together.
	turns   sync.RWMutex
	playing sync.WaitGroup
	ending  context.Context //nolint:containedctx // the runner's own life, which runs must not outlive
	end     context.CancelFunc
}

// patience bounds a run. The longest waits for a lease, a retry schedule or its
// turn.
const patience = 4 * time.Minute

// New prepares the runner; what an earlier one left running is over now. It does
// not connect to the shop yet. Close ends it.
func New(ctx context.Context, o Options) (*Runner, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{opts: o}
	var err error
	if r.lessons, err = All(); err != nil {
		return nil, err
	}
	if r.explain, err = readExplanation(); err != nil {
		return nil, err
	}
	r.locate()
	if r.store.db, err = postgres.Open(ctx, postgres.Config{DSN: o.PostgresDSN, PoolSize: 4, AppName: "payonce-lessons"}); err != nil {
		return nil, err
	}
	if err := r.store.make(ctx); err != nil {
		return nil, errors.Join(err, r.store.db.Close())
	}
	if r.shopDB, err = postgres.Open(ctx, postgres.Config{DSN: onlyReading(o.ShopDSN), PoolSize: 4, AppName: "payonce-lesson-checks"}); err != nil {
		return nil, errors.Join(err, r.store.db.Close())
	}
	r.ending, r.end = context.WithCancel(context.WithoutCancel(ctx))
	return r, nil
}

// Close ends what is being played, marks it as failed, and lets go of the
// databases.
func (r *Runner) Close() error {
	r.end()
	r.playing.Wait()
	return errors.Join(r.shopDB.Close(), r.store.db.Close())
}

// onlyReading makes the server refuse whatever would write.
func onlyReading(dsn string) string {
	const setting = "default_transaction_read_only=on"
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return strings.TrimSpace(dsn + " " + setting)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += setting
	return u.String()
}

// locate looks the lines of all code links up. Where there is no source tree, as
// in an image, they stay 0; that the names exist is a test's to say.
func (r *Runner) locate() {
	root, texts := Root(), []*Text{r.explain.text}
	for _, l := range r.lessons {
		texts = append(texts, l.Text)
	}
	for _, t := range texts {
		for i, c := range t.Code {
			found, err := c.Find(root)
			if err != nil {
				r.opts.Log.Debug("a link to code has no line", "error", err)
				continue
			}
			t.Code[i] = found
		}
	}
}

func (r *Runner) lesson(slug string) (Lesson, bool) {
	for _, l := range r.lessons {
		if l.Slug == slug {
			return l, true
		}
	}
	return Lesson{}, false
}

// visitor is who runs a lesson.
type visitor struct {
	apiKey   string
	merchant uuid.UUID
}

// start begins a run. A visitor who asks again for the lesson that runs gets
// that run; errBusy when another one does.
func (r *Runner) start(ctx context.Context, v visitor, l Lesson, shop string, prediction *string) (Run, error) {
	run, err := newRun(l.Slug, shop, prediction)
	if err != nil {
		return run, err
	}
	owner := ownerOf(v.apiKey)
	err = r.store.begin(ctx, owner, run)
	if errors.Is(err, errBusy) {
		twin, found, err := r.store.running(ctx, owner)
		switch {
		case err != nil:
			return run, err
		case found && twin.Slug == l.Slug && twin.Shop == shop:
			return twin, nil
		}
		return run, errBusy
	}
	if err != nil {
		return run, err
	}
	r.playing.Go(func() { r.play(v, l, run) })
	return run, nil
}

// play is a run from its first step to its end.
func (r *Runner) play(v visitor, l Lesson, run Run) {
	ctx, cancel := context.WithTimeout(r.ending, patience)
	defer cancel()
	rec := &recorder{save: r.store.save, log: r.opts.Log, run: run}
	play := l.Play
	if run.Shop == Naive {
		play, l.Disturbs = l.Naive, false // nobody dies for the naive twins
	}
	truth, err := r.inTurn(ctx, l, rec, func(done func()) (string, error) {
		s := r.scene(v, rec)
		s.undisturbed = done
		return r.perform(ctx, play, s)
	})
	for try := range 5 { // The end of a run is worth a second try.
		if rec.change(ctx, func(run *Run) { run.end(truth, err) }) == nil {
			return
		}
		time.Sleep(time.Duration(try+1) * 200 * time.Millisecond)
	}
}

// inTurn lets a lesson that disturbs be alone, until it says that it is done
// with that or has ended.
func (r *Runner) inTurn(ctx context.Context, l Lesson, rec *recorder, perform func(done func()) (string, error)) (string, error) {
	free, lock, unlock := r.turns.TryRLock, r.turns.RLock, r.turns.RUnlock
	if l.Disturbs {
		free, lock, unlock = r.turns.TryLock, r.turns.Lock, r.turns.Unlock
	}
	if !free() {
		rec.step(ctx, "Another lesson is playing that must not be mixed with this one. Waiting for its end.")
		lock()
	}
	done := sync.OnceFunc(unlock)
	defer done()
	if err := ctx.Err(); err != nil {
		return "", errors.New("its turn did not come in time")
	}
	return perform(done)
}

// perform catches a scenario that panics: the other visitors' runs go on.
func (r *Runner) perform(ctx context.Context, play Play, s *Scene) (truth string, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.opts.Log.Error("a scenario panicked", "panic", p)
			err = fmt.Errorf("the scenario has a bug: %v", p)
		}
	}()
	truth, err = play(ctx, s)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (a run has %s)", err, patience)
	}
	return truth, err
}
