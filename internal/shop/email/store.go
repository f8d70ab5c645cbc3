package email

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// leasePatience bounds how long taking mails may take.
const leasePatience = 5 * time.Second

// queued is a leased mail.
type queued struct {
	ID          uuid.UUID `db:"id"`
	MerchantID  uuid.UUID `db:"merchant_id"`
	PaymentID   uuid.UUID `db:"payment_id"`
	Template    string    `db:"template"`
	MessageID   string    `db:"message_id"`
	Recipient   string    `db:"recipient"`
	Subject     string    `db:"subject"`
	Body        string    `db:"body"`
	Attempts    int       `db:"attempts"`
	Traceparent string    `db:"traceparent"`
	QueuedAt    time.Time `db:"queued_at"`
}

// outgoing is dated when it was queued, not when it is sent: a twin is the same
// bytes.
func (q queued) outgoing() Mail {
	return Mail{MessageID: q.MessageID, To: q.Recipient, Subject: q.Subject, Body: q.Body, Date: q.QueuedAt}
}

// leaseSQL counts the try when it begins, so that a mail which kills its mailer
// can be told from one that was never tried.
const leaseSQL = `
UPDATE emails
   SET lease_token = $1, lease_until = clock_timestamp() + $2 * interval '1 microsecond', attempts = attempts + 1
 WHERE id IN (
   SELECT id FROM emails
    WHERE status = 'queued' AND next_attempt_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until < clock_timestamp())
    ORDER BY next_attempt_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED)
RETURNING id, merchant_id, payment_id, template, message_id, recipient, subject, body, attempts, traceparent, queued_at`

// lease takes mails that are due; a signal does not cut it short, or the mails
// would belong to a mailer that has gone. A commit whose answer was lost costs
// nothing but the time until these leases run out.
func (m *Mailer) lease(ctx context.Context, token uuid.UUID) ([]queued, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leasePatience)
	defer cancel()
	var due []queued
	err := postgres.InTx(ctx, m.cfg.DB, func(tx postgres.Tx) error {
		due = nil
		return tx.Select(ctx, &due, leaseSQL, token, m.cfg.Lease.Microseconds(), m.cfg.Batch)
	})
	return due, err
}

// A second run finds the mail sent under its own token and writes the same row.
// A mailer whose lease was taken over changes nothing: the other one marks.
var markSent = postgres.Guarded("email.mark_sent", `
WITH sent AS (
  UPDATE emails
     SET status = 'sent', sent_at = coalesce(sent_at, clock_timestamp()), lease_until = NULL, last_error = NULL
   WHERE id = $1 AND lease_token = $2 AND status IN ('queued', 'sent')
  RETURNING message_id
), no_longer_owed AS (
  `+alert.ResolveFrom("sent", "sent.message_id", AlertLate, AlertFailed)+`
)
SELECT count(*) FROM sent`)

func (m *Mailer) markSent(ctx context.Context, token uuid.UUID, mail queued) (bool, error) {
	var n int
	err := markSent.Get(ctx, m.cfg.DB, &n, mail.ID, token)
	return n == 1, err
}

const (
	markDelayedSQL = `
UPDATE emails
   SET lease_token = NULL, lease_until = NULL, last_error = $3,
       next_attempt_at = clock_timestamp() + $4 * interval '1 microsecond'
 WHERE id = $1 AND lease_token = $2 AND status = 'queued'`

	markFailedSQL = `
UPDATE emails SET status = 'failed', lease_token = NULL, lease_until = NULL, last_error = $3
 WHERE id = $1 AND lease_token = $2 AND status = 'queued'`
)

// markDelayed puts a mail back for later. One that has walked through the whole
// schedule stays owed, and an alert is raised.
func (m *Mailer) markDelayed(ctx context.Context, token uuid.UUID, mail queued, cause error) (marked bool, err error) {
	late := mail.Attempts > len(m.cfg.Schedule)
	return m.putDown(ctx, mail, cause, AlertLate, late, markDelayedSQL,
		mail.ID, token, cause.Error(), m.delay(mail.Attempts).Microseconds())
}

// markFailed ends a mail that the server will never take; an alert is raised, by
// one alert that holds the newest refusal.
func (m *Mailer) markFailed(ctx context.Context, token uuid.UUID, mail queued, cause error) (marked bool, err error) {
	return m.putDown(ctx, mail, cause, AlertFailed, true, markFailedSQL, mail.ID, token, cause.Error())
}

func (m *Mailer) putDown(ctx context.Context, mail queued, cause error, kind alert.Kind, raise bool, query string, args ...any) (marked bool, err error) {
	err = postgres.InTx(ctx, m.cfg.DB, func(tx postgres.Tx) error {
		n, err := tx.Exec(ctx, query, args...)
		marked = n == 1
		if err != nil || !marked || !raise {
			return err
		}
		if kind == AlertFailed { // it is not late any more, and an earlier refusal is old news
			if _, err := alert.Resolve(ctx, tx, mail.MessageID, AlertLate, AlertFailed); err != nil {
				return err
			}
		}
		return kind.Raise(ctx, tx, mail.MerchantID, mail.MessageID, map[string]any{
			"payment_id": mail.PaymentID, "template": mail.Template, "attempts": mail.Attempts, "error": cause.Error(),
		})
	})
	return marked && err == nil, err
}

// ErrNotFailed says that no mail of that name was refused for good.
var ErrNotFailed = errors.New("no such mail was refused for good")

const queueAgainSQL = `
UPDATE emails
   SET status = 'queued', recipient = coalesce(nullif($2::text, ''), recipient), attempts = 0, next_attempt_at = clock_timestamp(),
       lease_token = NULL, lease_until = NULL
 WHERE message_id = $1 AND status = 'failed'
RETURNING recipient`

// QueueAgain queues a mail that was refused for good, to another address unless
// that is empty, and returns the address. It is the same mail: its Message-ID
// stays. A second call is [ErrNotFailed] until it was refused again.
func QueueAgain(ctx context.Context, tx postgres.Tx, messageID string, address event.Address) (to event.Address, err error) {
	err = tx.Get(ctx, &to, queueAgainSQL, messageID, address)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFailed
	}
	return to, err
}

// A second run finds the token gone and changes nothing. The tries are given
// back too: these mails were not tried.
var giveBack = postgres.Guarded("email.give_back", `
UPDATE emails SET lease_token = NULL, lease_until = NULL, attempts = attempts - 1
 WHERE id = ANY ($1::uuid[]) AND lease_token = $2 AND status = 'queued'`)

func (m *Mailer) giveBack(ctx context.Context, token uuid.UUID, mails []queued) error {
	ids := make([]string, 0, len(mails))
	for _, q := range mails {
		ids = append(ids, q.ID.String())
	}
	_, err := giveBack.Exec(ctx, m.cfg.DB, pq.Array(ids), token)
	return err
}
