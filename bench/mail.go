package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/program"
	"payonce/internal/shop/event"
)

// mailLine compares the worker's mailer with a client that sends and marks.
func mailLine(h *house) line {
	m := &mails{house: h}
	return line{
		Name: "mail", Title: "Mailer: queued mail → accepted by the server → marked", Unit: "mails per second", Half: 2,
		Notes: []string{
			"The mails are in the table before the clock starts. The server takes everything at once and is inside the load generator. Both mark each mail by itself, behind the server's yes: what is not marked may be sent twice.",
			"The bare client reads all mails first, holds no lease and uses one connection for all.",
		},
		Contenders: []contender{
			{Name: "bare", Title: "one SMTP connection, an UPDATE for each mail", Slice: m.bare},
			{Name: "worker", Title: "cmd/worker, its mailer", Slice: m.worked},
		},
		Ratios: []ratio{{Of: "worker", To: "bare", Target: 0.8}},
		Open:   m.open,
	}
}

// mails is what the line needs while it runs.
type mails struct {
	*house
	box    *mailbox
	worker *program.Program
	rate   float64
}

func (m *mails) open(ctx context.Context) (end func() error, err error) {
	if m.box, err = newMailbox(); err != nil {
		return nil, err
	}
	end = func() error {
		if m.worker != nil {
			return errors.Join(stop(m.worker), m.box.server.Close())
		}
		return m.box.server.Close()
	}
	if m.worker, err = m.startWorker(ctx, m.box.address); err != nil {
		return end, errors.Join(err, end())
	}
	return end, nil
}

// queueSQL makes mails like receipts.
const queueSQL = `
INSERT INTO emails (id, merchant_id, payment_id, template, business_key, message_id, recipient, subject, body, status)
SELECT id, $2::uuid, id, 'receipt', id::text, '<receipt.' || id || '@payonce>', 'bench@example.org', 'Your receipt: 84.00 EUR', repeat('Thank you. You paid once. ', 24), $3
  FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1::bigint)) AS m`

func (m *mails) queue(ctx context.Context, t *clock, status string) (tx *sql.Tx, merchant uuid.UUID, n int, err error) {
	const firstGuess = 600
	merchant, n = uuid.New(), int(max(m.rate, firstGuess)*t.length.Seconds())
	if tx, err = m.db.BeginTx(ctx, nil); err != nil { //nolint:forbidigo // no business is done here
		return nil, merchant, n, err
	}
	if _, err = tx.ExecContext(ctx, queueSQL, n, merchant, status); err != nil {
		return nil, merchant, n, errors.Join(err, tx.Rollback())
	}
	return tx, merchant, n, nil
}

// worked measures the real program: the clock starts with the commit that makes the mails
// visible. An event for the mail consumer wakes the mailer up, as each does.
func (m *mails) worked(ctx context.Context, t *clock) error {
	tx, merchant, n, err := m.queue(ctx, t, "queued")
	if err != nil {
		return err
	}
	wake, err := captured(merchant, 1)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := t.startWithLog(ctx, m.db); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	err = m.withChannel(func(ch *amqp.Channel) error {
		return ch.PublishWithContext(ctx, "", event.ConsumerEmail, false, false, wake[0])
	})
	if err != nil {
		return err
	}
	n++ // the event's own receipt
	// While mails go out only the server is asked.
	if err := until(ctx, time.Minute, func() (bool, error) { return int(m.box.got.Load()) >= n, nil }); err != nil {
		return fmt.Errorf("the mailer does not finish: %w", err)
	}
	err = until(ctx, time.Minute, func() (bool, error) {
		var sent int
		err := m.db.QueryRowContext(ctx, `SELECT count(*) FROM emails WHERE merchant_id = $1 AND status = 'sent'`, merchant).Scan(&sent)
		return sent == n, err
	})
	if err != nil {
		return fmt.Errorf("the mailer does not finish: %w", err)
	}
	return m.finish(ctx, t, n)
}

func (m *mails) finish(ctx context.Context, t *clock, n int) error {
	if err := t.stopWithLog(ctx, m.db, n); err != nil {
		return err
	}
	m.rate = max(m.rate, float64(n)/t.took.Seconds())
	if got := int(m.box.got.Swap(0)); got != n {
		return fmt.Errorf("%d mails, but the server took %d", n, got)
	}
	return nil
}

// bare sends the same mails, which the worker's mailer must not see.
func (m *mails) bare(ctx context.Context, t *clock) error {
	tx, merchant, n, err := m.queue(ctx, t, "failed")
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	mails, err := m.queued(ctx, merchant)
	if err != nil {
		return err
	}
	mark, err := m.db.PrepareContext(ctx, `UPDATE emails SET status = 'sent', sent_at = clock_timestamp() WHERE id = $1`)
	if err != nil {
		return err
	}
	defer func() { _ = mark.Close() }()
	if err := t.startWithLog(ctx, m.db); err != nil {
		return err
	}
	client, err := smtp.Dial(m.box.address)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	for _, mail := range mails {
		if err := mail.send(client); err != nil {
			return err
		}
		if _, err := mark.ExecContext(ctx, mail.id); err != nil {
			return err
		}
	}
	return m.finish(ctx, t, n)
}

// mail is one to be sent.
type mail struct {
	id                      uuid.UUID
	name, to, subject, text string
}

func (m *mails) queued(ctx context.Context, merchant uuid.UUID) (all []mail, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT id, message_id, recipient, subject, body FROM emails WHERE merchant_id = $1`, merchant)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one mail
		if err := rows.Scan(&one.id, &one.name, &one.to, &one.subject, &one.text); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func (m mail) send(client *smtp.Client) error {
	if err := client.Mail("tickets@payonce.example", nil); err != nil {
		return err
	}
	if err := client.Rcpt(m.to, nil); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "Message-ID: "+m.name+"\r\nFrom: tickets@payonce.example\r\nTo: "+m.to+"\r\nSubject: "+m.subject+"\r\n\r\n"+m.text+"\r\n")
	return errors.Join(err, w.Close())
}
