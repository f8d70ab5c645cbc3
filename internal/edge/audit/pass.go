package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// scope is what a pass looks at: a merchant's newest payments, everybody's, or
// with newest 0 everything.
type scope struct {
	merchant uuid.UUID // the zero id: everybody
	newest   int
}

// args are the parameters that every query begins with.
func (s scope) args(grace time.Duration) []any {
	var merchant, newest any
	if s.merchant != uuid.Nil {
		merchant = s.merchant
	}
	if s.newest != 0 {
		newest = s.newest
	}
	return []any{merchant, newest, grace.Seconds()}
}

// pick returns the form of a query that this scope's indexes serve.
func (s scope) pick(q query) string {
	if s.merchant == uuid.Nil {
		return q.everybody
	}
	return q.merchant
}

// flight is a pass that is under way, or its outcome.
type flight struct {
	done chan struct{}
	*outcome
	err error
}

// passOf returns an outcome no older than maxAge. Callers who ask for the same
// while it is being made wait for the one that makes it. That one goes on when
// its own caller hangs up: the others still want the answer.
func (a *Auditor) passOf(ctx context.Context, s scope, maxAge time.Duration) (*outcome, error) {
	a.mu.Lock()
	f, known := a.flights[s]
	if known && f.fresh(a.Now(), maxAge) {
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
			return f.outcome, f.err
		}
	}
	a.forget()
	f = &flight{done: make(chan struct{})}
	a.flights[s] = f
	a.mu.Unlock()

	defer close(f.done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Limit)
	defer cancel()
	// Set before the pass: if it panics, waiters get this and not a nil outcome.
	f.err = errUnfinished
	f.outcome, f.err = a.pass(ctx, s)
	return f.outcome, f.err
}

var errUnfinished = errors.New("audit: the pass did not finish")

// fresh says whether a flight is worth waiting for, or its outcome good enough.
// A failure is not kept.
func (f *flight) fresh(now time.Time, maxAge time.Duration) bool {
	select {
	case <-f.done:
		return f.err == nil && now.Sub(f.at) < maxAge
	default:
		return true
	}
}

// forget drops outcomes that nobody can be given any more, so that a thousand
// visitors do not leave a thousand reports behind.
func (a *Auditor) forget() {
	for s, f := range a.flights {
		if !f.fresh(a.Now(), 5*a.Every) {
			delete(a.flights, s)
		}
	}
}

// pass asks the world first and then our own tables, check by check.
func (a *Auditor) pass(ctx context.Context, s scope) (*outcome, error) {
	p := &pass{Auditor: a, scope: s}
	if err := p.askWorld(ctx); err != nil {
		return nil, err
	}
	o := &outcome{at: a.Now()}
	for _, c := range checks {
		violations, err := c.find(ctx, p)
		var blind *blindError
		switch {
		case errors.As(err, &blind):
			o.findings = append(o.findings, finding{unseen: blind.why})
			continue
		case err != nil:
			return nil, fmt.Errorf("audit: %s: %w", c.id, err)
		}
		o.findings = append(o.findings, finding{violations: violations})
	}
	return o, nil
}

// pass is one look at everything in a scope.
type pass struct {
	*Auditor
	scope   scope
	outside outside
}

// rows runs a query of this pass into the slice dest points at.
func (p *pass) rows(ctx context.Context, q query, dest any) error {
	return p.DB.Select(ctx, dest, p.scope.pick(q), p.scope.args(p.Grace)...)
}

// blindError says that a check's witness could not be asked.
type blindError struct{ why string }

// Error implements error.
func (e *blindError) Error() string { return "not observable: " + e.why }
