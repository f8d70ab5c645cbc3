package email

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	onceotel "payonce/once/otel"
	"payonce/once/retry"
)

// Config is what a [Mailer] needs. Zero durations and counts get defaults.
type Config struct {
	DB     *postgres.DB
	Sender Sender
	// Schedule is how long a mail waits after each failed try, and how long the
	// mailer waits for a server that is away; the last delay repeats. Nil means
	// [retry.Production].
	Schedule retry.Schedule
	// Batch is how many mails are leased together; 0 means 20.
	Batch int
	// Lease is how long they belong to this mailer; 0 means 50 s. No mail is
	// begun in its second half, so Sender must not take longer for one than
	// that; a mail whose mailer was killed waits for the whole of it.
	Lease time.Duration
	// Poll finds what no wake-up told of; 0 means 1 s.
	Poll     time.Duration
	Observer observe.Observer
	Log      *slog.Logger
}

// Mailer sends queued mails. Any number of them may run.
type Mailer struct {
	cfg  Config
	wake chan struct{}

	// What this mailer knows of the server; only Run's goroutine looks.
	up   bool // the last thing heard is that it takes mail
	away int  // rounds in a row that found it away

	totals struct{ sent, delayed, failed, lost atomic.Int64 }
}

// Counts is what a mailer has done since it was made: tries by their end. Lost
// are those whose lease had been taken over when they ended.
type Counts struct{ Sent, Delayed, Failed, Lost int64 }

// Counts tells what happened so far, for metrics.
func (m *Mailer) Counts() Counts {
	return Counts{m.totals.sent.Load(), m.totals.delayed.Load(), m.totals.failed.Load(), m.totals.lost.Load()}
}

// NewMailer fills in the defaults.
func NewMailer(cfg Config) *Mailer {
	if len(cfg.Schedule) == 0 {
		cfg.Schedule = retry.Production
	}
	if cfg.Batch == 0 {
		cfg.Batch = 20
	}
	if cfg.Lease == 0 {
		cfg.Lease = 50 * time.Second
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Observer == nil {
		cfg.Observer = observe.Nobody{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Mailer{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Wake says that a mail may be due. It never blocks, and many calls are one.
func (m *Mailer) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run sends what is due until ctx ends; the mail that is on its way then is
// finished and marked. A database or a mail server that is away is waited for.
func (m *Mailer) Run(ctx context.Context) error {
	for {
		done, err := m.runOnce(ctx)
		m.totals.sent.Add(int64(done.sent))
		m.totals.delayed.Add(int64(done.delayed))
		m.totals.failed.Add(int64(done.failed))
		m.totals.lost.Add(int64(done.lost))
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("mailer", "error", err)
		}
		if err == nil && m.away == 0 && done.leased == m.cfg.Batch {
			continue // a full batch: there is probably more
		}
		if !m.pause(ctx) {
			return nil
		}
	}
}

// pause waits for a wake-up or the poll. While the server is away nobody's
// wake-up matters, and it is asked less and less often. False means that ctx
// has ended.
func (m *Mailer) pause(ctx context.Context) bool {
	wake, wait := m.wake, m.cfg.Poll
	if m.away > 0 {
		wake, wait = nil, min(m.delay(m.away), longestProbe)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// longestProbe bounds how late the return of a mail server is noticed.
const longestProbe = 30 * time.Second

// counts is what one round did.
type counts struct{ leased, sent, delayed, failed, lost int }

// runOnce leases one batch, sends it mail by mail and marks each. The error, if
// any, is the database's; trouble with the mail server is a count.
//
// A panic is an error too: what was leased comes again when the lease ends.
func (m *Mailer) runOnce(ctx context.Context) (done counts, err error) {
	defer telemetry.Caught(&err)
	if ctx.Err() != nil {
		return counts{}, nil
	}
	token, err := uuid.NewRandom()
	if err != nil {
		return counts{}, err
	}
	// 1. Lease. The halfway mark is counted from before the lease began, by a
	// clock that cannot jump, so it comes no later than the database's.
	halfway, cancel := context.WithTimeout(ctx, m.cfg.Lease/2)
	defer cancel()
	due, err := m.lease(ctx, token)
	if err != nil || len(due) == 0 {
		return counts{}, err
	}
	if err := fault.Point("mailer.after_lease", owners(due)...); err != nil {
		return counts{}, err // The lease ends by itself.
	}
	// A connection lives for one batch: an idle one would be found dead later.
	defer func() { _ = m.cfg.Sender.Close() }()

	done = counts{leased: len(due)}
	err = m.sendAll(ctx, halfway, token, due, &done)
	return done, err
}

// sendAll sends leased mails one by one and marks each. None is begun after halfway.
func (m *Mailer) sendAll(ctx, halfway context.Context, token uuid.UUID, due []queued, done *counts) (err error) {
	// What was begun is finished: a mail that was accepted must be marked, also
	// when the process has been told to stop.
	finish := context.WithoutCancel(ctx)
	marked := func() error { return nil } // waits until the mail before is
	defer func() { err = errors.Join(err, marked()) }()
	for i, mail := range due {
		if i > 0 && halfway.Err() != nil {
			return errors.Join(marked(), m.giveBack(finish, token, due[i:]))
		}
		// 2. Send, outside every transaction.
		said := m.cfg.Sender.Send(onceotel.WithTraceparent(finish, mail.Traceparent), mail.outgoing())
		before := marked()
		if errors.Is(said, ErrAway) {
			// One mail is enough to learn that. None is to blame, so none has
			// to wait for its turn when the server is back.
			return errors.Join(before, m.giveBack(finish, token, due[i:]), m.serverIsAway(finish, said))
		}
		// 3. Mark, guarded by the lease, while the next one is sent: one that was accepted is
		// unmarked for no longer than that, and is what a crash sends twice.
		marked = m.recording(finish, token, mail, said, done)
		if err := errors.Join(before, m.serverIsUp(finish)); err != nil {
			return err
		}
	}
	return nil
}

// recording begins to mark what became of a mail; what it returns waits for that, and says
// once what went wrong.
func (m *Mailer) recording(ctx context.Context, token uuid.UUID, mail queued, said error, done *counts) (marked func() error) {
	result := make(chan error, 1)
	go func() {
		var err error
		defer func() { result <- err; close(result) }()
		defer telemetry.Caught(&err)
		err = m.record(ctx, token, mail, said, done)
	}()
	return func() error { return <-result }
}

// owners are the ids that a crash point about these mails can be limited to.
func owners(due []queued) []uuid.UUID {
	if !fault.Enabled {
		return nil
	}
	ids := make([]uuid.UUID, 0, 2*len(due))
	for _, mail := range due {
		ids = append(ids, mail.MerchantID, mail.PaymentID)
	}
	return ids
}

// record marks what became of a mail that the server has spoken about.
func (m *Mailer) record(ctx context.Context, token uuid.UUID, mail queued, said error, done *counts) error {
	switch {
	case said == nil:
		if err := fault.Point("mailer.after_smtp_accept", mail.MerchantID, mail.PaymentID); err != nil {
			return err
		}
		return errors.Join(m.sent(ctx, token, mail, done), fault.Point("mailer.after_mark", mail.MerchantID, mail.PaymentID))
	case errors.Is(said, ErrRefused):
		m.cfg.Log.Warn("a mail was refused for good", "message_id", mail.MessageID, "error", said)
		marked, err := m.markFailed(ctx, token, mail, said)
		done.count(&done.failed, marked)
		return err
	}
	m.cfg.Log.Info("a mail was not taken, it is tried again", "message_id", mail.MessageID, "attempt", mail.Attempts, "error", said)
	marked, err := m.markDelayed(ctx, token, mail, said)
	done.count(&done.delayed, marked)
	m.tell(ctx, observe.Retried, mail)
	return err
}

func (m *Mailer) sent(ctx context.Context, token uuid.UUID, mail queued, done *counts) error {
	marked, err := m.markSent(ctx, token, mail)
	if err != nil {
		return err
	}
	done.count(&done.sent, marked)
	m.tell(ctx, observe.MailSent, mail)
	return nil
}

// serverIsAway remembers, and after the whole schedule tells a person.
func (m *Mailer) serverIsAway(ctx context.Context, said error) error {
	m.up, m.away = false, m.away+1
	m.cfg.Log.Warn("no mail can be sent", "tries", m.away, "error", said)
	if m.away <= len(m.cfg.Schedule) {
		return nil
	}
	return AlertAway.RaiseAlone(ctx, m.cfg.DB, uuid.Nil, mailServer, map[string]any{"error": said.Error()})
}

// serverIsUp ends the alert, if there is one: perhaps another mailer's, or one
// of this process before it was started again.
func (m *Mailer) serverIsUp(ctx context.Context) error {
	if m.up {
		return nil
	}
	if err := alert.ResolveAlone(ctx, m.cfg.DB, mailServer, AlertAway); err != nil {
		return err
	}
	m.up, m.away = true, 0
	return nil
}

// count adds one to a counter, or to the lost when the lease was not ours any
// more and so nothing was marked.
func (c *counts) count(what *int, marked bool) {
	if marked {
		*what++
		return
	}
	c.lost++
}

func (m *Mailer) tell(ctx context.Context, kind observe.Kind, mail queued) {
	m.cfg.Observer.Observe(ctx, observe.Event{
		Kind: kind, Node: Name, Scope: mail.MerchantID, Correlation: mail.PaymentID,
		Attempt: mail.Attempts, Detail: mail.Template,
	})
}

// delay is how long a mail waits after its n-th failed try.
func (m *Mailer) delay(n int) time.Duration {
	return m.cfg.Schedule[min(max(n, 1), len(m.cfg.Schedule))-1]
}
