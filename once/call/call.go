package call

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"
)

// ID names an attempt: what the effect is for, and which try it is.
type ID struct {
	Subject string
	No      int
}

// Status says how far an attempt is.
type Status string

// Statuses of an attempt.
const (
	Calling   Status = "calling"   // a holder is at it, or died at it
	InDoubt   Status = "in_doubt"  // the call was not answered; it is asked about
	Done      Status = "done"      // the effect is there
	Refused   Status = "refused"   // the outside said no: an outcome
	Abandoned Status = "abandoned" // given up, and the outside will not do it any more
	Released  Status = "released"  // it certainly did nothing, and is no outcome either
)

// Open says that the attempt has no end yet.
func (s Status) Open() bool { return s == Calling || s == InDoubt }

// Attempt is one try, as the protocol knows it.
type Attempt struct {
	ID
	// Key is what the outside does it once under.
	Key    string
	Status Status
	// Fence grows with each holder; what an older one writes changes nothing.
	Fence int64
	// Asked counts the questions of the schedule.
	Asked int
	// Leased says that a holder has it at this moment.
	Leased bool
	// Age is how long ago it began, by the database's clock.
	Age time.Duration
}

// Row is what a [Store] reads of an attempt: it, and what the program keeps beside it.
type Row interface{ Call() Attempt }

// Errors that an [Outside] says by wrapping them; every other error of a call leaves it
// unknown whether the effect is there.
var (
	// ErrNotSent: the request certainly did not leave. The attempt ends without an outcome,
	// another may begin, and [Attempts.Released] takes back what waits for this one.
	ErrNotSent = errors.New("call: it was not sent")
	// ErrRefused: the outside took the request for wrong and did nothing. That is a bug
	// or a setting, not an outcome: it becomes trouble, and for the rest as above.
	ErrRefused = errors.New("call: the request is wrong")
)

// ErrHeld says that another holder has the attempt at this moment.
var ErrHeld = errors.New("call: another holder has the attempt")

// Error is why an attempt did not come to an end here. It is safe to come again.
type Error struct {
	// Sent says that the effect may be there. Otherwise there is certainly none, of this
	// holder's doing.
	Sent bool
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Sent {
		return "call: the effect may be there, and its outcome is not stored: " + e.Err.Error()
	}
	return "call: nothing was done: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func unsent(err error) error { return &Error{Err: err} }
func sent(err error) error   { return &Error{Sent: true, Err: err} }

// Outside is what does the effect. Its functions are called with no transaction open,
// with [Config.Deadline] to answer in, and their contexts outlive the caller's: a call
// that has begun is seen through.
type Outside[A Row, O any] struct {
	// Send has the effect done, under the attempt's key. It may be called again with it.
	Send func(ctx context.Context, a A) (O, error)
	// Ask finds out by the key what became of the attempt. known is false where the
	// outside certainly does not know the key: a list that was not read to its end
	// is an error. An error leaves the attempt in doubt.
	Ask func(ctx context.Context, a A) (o O, known bool, err error)
	// Cancel makes the outside refuse the key from now on, or say that it was done after
	// all. It is called instead of Send for an attempt whose key the outside does not
	// know and that is older than [Config.GiveUp]. Nil means that Send is right at any age.
	Cancel func(ctx context.Context, a A) (O, error)
}

// Store is where attempts stand, and what hangs on them. Each function is a transaction
// of its own that may be run twice: the reply to a commit can be lost. Contexts have
// [Config.Commit] and outlive the caller's.
type Store[A Row, O any] interface {
	// Read returns an attempt as it stands.
	Read(ctx context.Context, id ID) (A, error)
	// TakeOver makes the caller the holder of an open attempt that no one holds, under a
	// higher fence; taken is false where there is none. holder recognises a second run.
	TakeOver(ctx context.Context, id ID, holder string, lease time.Duration) (a A, taken bool, err error)
	// Complete writes the outcome and what follows from it, if the attempt is open and
	// the fence is a's; changed is false where it is not, and nothing was written.
	Complete(ctx context.Context, a A, o O) (after A, changed bool, err error)
	// Park puts the attempt in doubt, if the fence is a's: the lease ends, and it is
	// asked about after next.
	Park(ctx context.Context, a A, next time.Duration) (after A, err error)
	// Release ends the attempt without an outcome, if the fence is a's: it certainly did
	// nothing, and why says so. An [ErrRefused] becomes trouble.
	Release(ctx context.Context, a A, why error) (after A, changed bool, err error)
	// Same says whether the stored outcome of a is o.
	Same(a A, o O) bool
	// Contradict writes down that o is not the stored outcome of a, which stays.
	Contradict(ctx context.Context, a A, o O) error
	// Overdue raises trouble about an attempt that has no stored outcome after
	// [Config.Overdue]: why is what went wrong with the last question, or with storing
	// its answer.
	Overdue(ctx context.Context, a A, why error) error
	// Due lists open attempts that are to be asked about and that no one holds, the one
	// that waits longest first.
	Due(ctx context.Context, most int) ([]ID, error)
}

// Steps at which [Config.Point] is called.
const (
	BeforeSend     = "before_send"
	AfterSend      = "after_send"
	BeforeComplete = "before_complete"
	AfterComplete  = "after_complete"
	AfterTakeOver  = "after_take_over"
	AfterRecover   = "after_recover"
)

// Config is what a [Runner] needs; zero durations get their defaults.
type Config[A Row, O any] struct {
	Store   Store[A, O]
	Outside Outside[A, O]

	Deadline time.Duration // how long one call may take; 4 s
	Commit   time.Duration // how long storing may take, with the database away meanwhile; 5 s
	// Lease is how long an attempt belongs to its holder; 15 s. One that is shorter than
	// Deadline and Commit is taken over while its holder is still at it, which costs
	// questions and nothing else.
	Lease   time.Duration
	GiveUp  time.Duration // the age from which what the outside does not know is cancelled; 10 min
	Overdue time.Duration // the age from which an attempt without an outcome becomes trouble; 24 h
	// Doubt are the waits between questions; the last one repeats.
	Doubt []time.Duration

	// Landed is called when an attempt is no longer held here, with what was stored; nil for
	// none. It must not block.
	Landed func(ctx context.Context, a A)
	// Point stops at each step, for tests; nil for none. An error before the call means
	// that its outcome is unknown, as a crash there would.
	Point func(step string, a A) error
	Log   *slog.Logger // nil means silence
}

// Doubt are the waits between questions about an attempt in doubt.
var Doubt = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}

// Runner carries attempts through the protocol. Any number of processes may have one.
type Runner[A Row, O any] struct{ cfg Config[A, O] }

// New checks the wiring.
func New[A Row, O any](cfg Config[A, O]) (*Runner[A, O], error) {
	if cfg.Store == nil || cfg.Outside.Send == nil || cfg.Outside.Ask == nil {
		return nil, errors.New("call: a runner needs a store, and an outside that can be sent to and asked")
	}
	cfg.Deadline = cmp.Or(cfg.Deadline, 4*time.Second)
	cfg.Commit = cmp.Or(cfg.Commit, 5*time.Second)
	cfg.Lease = cmp.Or(cfg.Lease, 15*time.Second)
	cfg.GiveUp = cmp.Or(cfg.GiveUp, 10*time.Minute)
	cfg.Overdue = cmp.Or(cfg.Overdue, 24*time.Hour)
	if len(cfg.Doubt) == 0 {
		cfg.Doubt = Doubt
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner[A, O]{cfg}, nil
}

// Lease is how long an attempt belongs to its holder, for [Intent.Lease].
func (r *Runner[A, O]) Lease() time.Duration { return r.cfg.Lease }

// AskIn is how long an attempt in doubt waits for the next question.
func (r *Runner[A, O]) AskIn(a A) time.Duration {
	return r.cfg.Doubt[min(a.Call().Asked, len(r.cfg.Doubt)-1)]
}

func (r *Runner[A, O]) point(step string, a A) error {
	if r.cfg.Point == nil {
		return nil
	}
	return r.cfg.Point(step, a)
}

func (r *Runner[A, O]) landed(ctx context.Context, a A) {
	if r.cfg.Landed != nil {
		r.cfg.Landed(ctx, a)
	}
}
