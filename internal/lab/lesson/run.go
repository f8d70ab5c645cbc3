package lesson

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

// prefixRun begins the ids of runs.
const prefixRun wire.Prefix = "run_"

// The states of a run.
const (
	Running  = "running"
	Finished = "finished"
	// Failed is a scenario that could not be played to its end.
	Failed = "failed"
)

// The shops that a lesson can be run against.
const (
	Payonce = "payonce"
	Naive   = "naive"
)

// Head is a run without its steps and checks.
type Head struct {
	ID             string     `json:"id"`
	Slug           string     `json:"slug"`
	Shop           string     `json:"shop"`
	State          string     `json:"state"`
	OK             bool       `json:"ok"`
	StartedAt      wire.Time  `json:"started_at"`
	FinishedAt     *wire.Time `json:"finished_at"`
	Prediction     *string    `json:"prediction"`
	Truth          *string    `json:"truth"`
	PredictedRight *bool      `json:"predicted_right"`
	PaymentID      *string    `json:"payment_id"`
}

// Run is what a run did and found so far.
type Run struct {
	Head
	Steps  []Step  `json:"steps"`
	Checks []Check `json:"checks"`
	Error  *string `json:"error"`
}

// Step is one thing that the scenario did or saw, in plain words.
type Step struct {
	At   wire.Time `json:"at"`
	Text string    `json:"text"`
}

// Check is one statement, held against what was asked.
type Check struct {
	ID        string `json:"id"`
	Statement string `json:"statement"`
	OK        bool   `json:"ok"`
	Seen      string `json:"seen"`
	Expected  string `json:"expected"`
	// Query is what was asked: SQL with its values, or a curl line.
	Query string `json:"query"`
}

func newRun(slug, shop string, prediction *string) (Run, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Run{}, fmt.Errorf("an id for a run: %w", err)
	}
	return Run{
		Head:  Head{ID: prefixRun.ID(id), Slug: slug, Shop: shop, State: Running, StartedAt: wire.At(time.Now()), Prediction: prediction},
		Steps: []Step{}, Checks: []Check{},
	}, nil
}

// end closes a run: with the truth that its scenario saw, or with why it could
// not be played to its end.
func (r *Run) end(truth string, err error) {
	now := wire.At(time.Now())
	r.FinishedAt = &now
	if err != nil {
		why := err.Error()
		r.State, r.Error = Failed, &why
		return
	}
	r.State, r.Truth, r.OK = Finished, &truth, len(r.Checks) > 0
	for _, c := range r.Checks {
		r.OK = r.OK && c.OK
	}
	if r.Prediction != nil {
		right := *r.Prediction == truth
		r.PredictedRight = &right
	}
}

// recorder writes a run down as it goes. What cannot be written now is written
// with the next step, and at the end once more.
type recorder struct {
	save func(ctx context.Context, r Run) error
	log  *slog.Logger

	mu  sync.Mutex
	run Run
}

func (r *recorder) change(ctx context.Context, change func(*Run)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.run)
	err := r.save(context.WithoutCancel(ctx), r.run)
	if err != nil {
		r.log.Warn("a step of a lesson cannot be written down", "run", r.run.ID, "error", err)
	}
	return err
}

func (r *recorder) step(ctx context.Context, text string) {
	_ = r.change(ctx, func(run *Run) { run.Steps = append(run.Steps, Step{At: wire.At(time.Now()), Text: text}) }) // the next step writes it too
}

func (r *recorder) check(ctx context.Context, c Check) {
	_ = r.change(ctx, func(run *Run) { run.Checks = append(run.Checks, c) }) // the next change writes it too
}
