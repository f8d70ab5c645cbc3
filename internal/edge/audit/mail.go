package audit

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Mail is one message as a mailbox shows it, however often it was delivered.
type Mail struct {
	MessageID  string
	To         string
	Subject    string
	Text       string
	Deliveries int
	ReceivedAt time.Time
}

// Mailbox is where a shop's mails arrive, as far as anybody can look into it. A
// lab build has one; the world's other mailboxes are not open to us.
type Mailbox interface {
	// EachMail calls f for every message, newest first. An error of f ends it and
	// is returned.
	EachMail(ctx context.Context, f func(Mail) error) error
	// MailsByMessageID lists the messages with a Message-ID, one per address.
	MailsByMessageID(ctx context.Context, id string) ([]Mail, error)
}

var (
	paymentName = regexp.MustCompile(`pay_[0-9a-f]{32}`)
	errOlder    = errors.New("older than everything in scope")
)

// behind is how far a mailbox's clock may be behind ours.
const behind = time.Minute

// askMailbox reads the mail back to the oldest order in scope. Mails are found by
// the payment that their text names and not by their Message-ID: a receipt that
// came twice under two ids is what the check is for.
func (p *pass) askMailbox(ctx context.Context, seen []seenPayment) error {
	if p.Mailbox == nil {
		return &blindError{"there is no mailbox to look into"}
	}
	if len(seen) == 0 {
		return nil
	}
	oldest := seen[0].CreatedAt
	for _, s := range seen {
		if s.CreatedAt.Before(oldest) {
			oldest = s.CreatedAt
		}
	}
	p.outside.mails = map[string][]Mail{}
	err := p.Mailbox.EachMail(ctx, func(m Mail) error {
		if m.ReceivedAt.Before(oldest.Add(-behind)) {
			return errOlder
		}
		if about := paymentName.FindString(m.Text); about != "" {
			p.outside.mails[about] = append(p.outside.mails[about], m)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errOlder) {
		return &blindError{"the mailbox cannot be asked now"}
	}
	return nil
}

// One row per outcome that owes a mail, with the mail that was queued for it; a
// payment without an outcome has one row too, for it owes none. A mail that a
// server refused for good is held while the alert about it is open.
const mailsOwedSQL = `
SELECT s.merchant_id, s.id, s.name, s.young, t.status IS NOT NULL AS finished, m.message_id, coalesce(m.recipient, '') AS recipient,
       EXISTS (SELECT FROM alerts a WHERE a.kind IN ('mail_late', 'mail_failed') AND a.subject = m.message_id AND a.state = 'open') AS alerted
  FROM seen s
  LEFT JOIN payment_attempts t ON t.payment_id = s.id AND t.status IN ('succeeded', 'declined', 'abandoned')
  LEFT JOIN emails m ON m.payment_id = s.id
   AND CASE t.status WHEN 'succeeded' THEN m.template = 'receipt'
       ELSE m.template = 'declined' AND m.business_key = s.name || '.' || t.attempt_no END
UNION ALL
SELECT s.merchant_id, s.id, s.name, s.young, r.status <> 'pending', m.message_id, coalesce(m.recipient, ''),
       EXISTS (SELECT FROM alerts a WHERE a.kind IN ('mail_late', 'mail_failed') AND a.subject = m.message_id AND a.state = 'open')
  FROM seen s
  JOIN refunds r ON r.payment_id = s.id
  LEFT JOIN emails m ON m.payment_id = s.id AND m.business_key = 'ref_' || replace(r.id::text, '-', '')
   AND m.template = CASE r.status WHEN 'succeeded' THEN 'refunded' ELSE 'refund_failed' END
 ORDER BY id`

var mailsOwedQuery = scoped(mailsOwedSQL)

type owedMail struct {
	Merchant  uuid.NullUUID `db:"merchant_id"`
	ID        uuid.UUID     `db:"id"`
	Name      string        `db:"name"`
	Young     bool          `db:"young"`
	Finished  bool          `db:"finished"`
	MessageID *string       `db:"message_id"`
	Recipient string        `db:"recipient"`
	Alerted   bool          `db:"alerted"`
}

// oneMail compares what is owed with what arrived, payment by payment. A mail
// about a payment that nothing asked for is one too many.
func oneMail(ctx context.Context, p *pass) ([]violation, error) {
	if p.outside.mailbox != nil {
		return nil, p.outside.mailbox
	}
	var rows []owedMail
	if err := p.rows(ctx, mailsOwedQuery, &rows); err != nil {
		return nil, err
	}
	var found []violation
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].ID == rows[0].ID {
			n++
		}
		of := rows[:n]
		if p.outside.asked[of[0].ID] && !of[0].Young && !served(of, p.outside.mails[of[0].Name]) {
			found = append(found, violation{Merchant: of[0].Merchant, Name: of[0].Name})
		}
		rows = rows[n:]
	}
	return found, nil
}

// arrival is what may exist once: a message in a mailbox.
type arrival struct{ messageID, to string }

// served says whether each mail that a payment owes arrived once, at whom it was
// meant for, and no other did.
func served(owed []owedMail, arrived []Mail) bool {
	copies := map[arrival]int{}
	for _, m := range arrived {
		copies[arrival{m.MessageID, strings.ToLower(m.To)}]++
	}
	asked := map[arrival]bool{}
	for _, o := range owed {
		var d arrival
		if o.MessageID != nil {
			d = arrival{*o.MessageID, strings.ToLower(o.Recipient)}
			asked[d] = true
		}
		if o.Finished && !o.Alerted && copies[d] != 1 {
			return false
		}
	}
	for d := range copies {
		if !asked[d] {
			return false
		}
	}
	return true
}
