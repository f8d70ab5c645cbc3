package audit

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
)

// Kind says when an invariant must hold.
type Kind string

// The kinds of invariants.
const (
	Safety   Kind = "safety"   // at every moment
	Liveness Kind = "liveness" // once things had their time
)

// Result is one invariant, checked.
type Result struct {
	ID        string
	Kind      Kind
	Statement string
	// OK says that it was looked at and holds for the rows in question.
	OK bool
	// Observable is false when the witness cannot be asked; then OK is false
	// too, and Unseen says why.
	Observable bool
	Unseen     string
	// Query names the constant in this package that holds the query, SQL is its
	// text.
	Query, SQL string
	// Violations are the ids of the offenders, at most [MaxViolations];
	// Foreign counts those of other merchants.
	Violations []string
	Foreign    int
}

// MaxViolations is how many offenders a Result names.
const MaxViolations = 100

// Report is all invariants, checked at one time.
type Report struct {
	// OK says that every invariant that could be observed holds.
	OK         bool
	CheckedAt  time.Time
	Invariants []Result
}

// Proven says that every invariant was observed and holds. A report can be OK
// and prove little; who wants proof asks for this.
func (r Report) Proven() bool {
	for _, i := range r.Invariants {
		if !i.OK {
			return false
		}
	}
	return len(r.Invariants) > 0
}

// Options is what an [Auditor] needs.
type Options struct {
	DB *postgres.DB
	// Books is the provider; nil means that it cannot be asked.
	Books provider.Books
	// Mailbox is where mails arrive; nil means that it cannot be asked.
	Mailbox Mailbox
	// Now stamps the reports; nil means the system's clock. What is young is
	// decided by the database's.
	Now func() time.Time
	// Every is for how long an answer is given again; 0 means 2 s.
	Every time.Duration
	// Grace is how long liveness may take; 0 means 30 s.
	Grace time.Duration
	// Limit bounds a pass, the asking of the outside world included; 0 means 15 s.
	Limit time.Duration
	// Newest is how many payments a merchant's check looks at; 0 means 500.
	Newest int
}

// Auditor checks the invariants.
type Auditor struct {
	Options

	mu      sync.Mutex
	flights map[scope]*flight
}

// New makes an Auditor; missing parts of o get their defaults.
func New(o Options) *Auditor {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	if o.Limit == 0 {
		o.Limit = 15 * time.Second
	}
	if o.Newest == 0 {
		o.Newest = 500
	}
	return &Auditor{Options: o, flights: map[scope]*flight{}}
}

// Check reports on a merchant's own rows and counts the offenders among those
// of others. An error means that our own database could not be asked; it says
// nothing about the invariants.
func (a *Auditor) Check(ctx context.Context, merchant uuid.UUID) (Report, error) {
	own, err := a.passOf(ctx, scope{merchant: merchant, newest: a.Newest}, a.Every)
	if err != nil {
		return Report{}, err
	}
	all, err := a.passOf(ctx, scope{newest: a.Newest}, 5*a.Every)
	if err != nil {
		return Report{}, err
	}
	return own.report(func(check int) int {
		foreign := 0
		for _, v := range all.findings[check].violations {
			if !v.Merchant.Valid || v.Merchant.UUID != merchant {
				foreign++
			}
		}
		return foreign
	}), nil
}

// CheckAll reports on every row there is, whosever it is. It reads everything
// and asks the provider for every charge ever made, so it is the operator's.
func (a *Auditor) CheckAll(ctx context.Context) (Report, error) {
	everything, err := a.passOf(ctx, scope{}, a.Every)
	if err != nil {
		return Report{}, err
	}
	return everything.report(func(int) int { return 0 }), nil
}

// outcome is what one pass over the checks found, in their order.
type outcome struct {
	at       time.Time
	findings []finding
}

type finding struct {
	violations []violation
	unseen     string
}

// violation is one offender and whose it is; global ones are nobody's.
type violation struct {
	Merchant uuid.NullUUID `db:"merchant_id"`
	Name     string        `db:"name"`
}

func (o *outcome) report(foreign func(check int) int) Report {
	r := Report{OK: true, CheckedAt: o.at, Invariants: make([]Result, 0, len(checks))}
	for i, c := range checks {
		f := o.findings[i]
		result := Result{
			ID: c.id, Kind: c.kind, Statement: c.statement, Query: c.query, SQL: c.sql,
			Observable: f.unseen == "", Unseen: f.unseen, Violations: []string{}, Foreign: foreign(i),
		}
		result.OK = result.Observable && len(f.violations) == 0
		for _, v := range f.violations[:min(len(f.violations), MaxViolations)] {
			result.Violations = append(result.Violations, v.Name)
		}
		r.OK = r.OK && (result.OK || !result.Observable)
		r.Invariants = append(r.Invariants, result)
	}
	return r
}
