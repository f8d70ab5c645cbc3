package bursts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
)

// Mailbox asks the simulator's mailbox over HTTP. It implements audit.Mailbox.
type Mailbox struct{ client *client.Client }

var _ audit.Mailbox = (*Mailbox)(nil)

// NewMailbox makes a client of the mailbox at url (http://host:port).
func NewMailbox(address string) *Mailbox {
	return &Mailbox{client.New(address, "", client.Options{Timeout: 3 * time.Second, Idle: 2, Longest: 64 << 20})}
}

// Up says whether the simulator answers, at once.
func (m *Mailbox) Up(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
	defer cancel()
	answer, err := m.client.Send(ctx, client.Request{Method: http.MethodGet, Path: "/healthz"})
	return err == nil && answer.Status == http.StatusOK
}

// EachMail calls f for every message there is, newest first.
func (m *Mailbox) EachMail(ctx context.Context, f func(audit.Mail) error) error {
	return m.each(ctx, url.Values{}, f)
}

// MailsByMessageID returns the messages with one Message-ID: one, unless the
// mailbox failed to recognise a twin.
func (m *Mailbox) MailsByMessageID(ctx context.Context, id string) ([]audit.Mail, error) {
	return m.all(ctx, url.Values{"message_id": {id}})
}

// MailsTo returns the messages for one address, newest first.
func (m *Mailbox) MailsTo(ctx context.Context, recipient string) ([]audit.Mail, error) {
	return m.all(ctx, url.Values{"to": {recipient}})
}

func (m *Mailbox) all(ctx context.Context, filter url.Values) (mails []audit.Mail, err error) {
	err = m.each(ctx, filter, func(one audit.Mail) error { mails = append(mails, one); return nil })
	return mails, err
}

// each reads all pages, newest first, or returns an error: of f, or of a page that did
// not come.
func (m *Mailbox) each(ctx context.Context, filter url.Values, f func(audit.Mail) error) error {
	filter.Set("limit", "1000")
	for {
		page, next, err := m.page(ctx, filter)
		if err != nil {
			return err
		}
		for _, one := range page {
			if err := f(one); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		filter.Set("cursor", next)
	}
}

func (m *Mailbox) page(ctx context.Context, filter url.Values) ([]audit.Mail, string, error) {
	answer, err := m.client.Send(ctx, client.Request{Method: http.MethodGet, Path: "/mailbox/messages?" + filter.Encode()})
	if err != nil {
		return nil, "", err
	}
	if answer.Status != http.StatusOK {
		return nil, "", fmt.Errorf("the mailbox answered %d", answer.Status)
	}
	var body struct {
		Data []struct {
			MessageID  string    `json:"message_id"`
			To         string    `json:"to"`
			Subject    string    `json:"subject"`
			Text       string    `json:"text"`
			Deliveries int       `json:"deliveries"`
			ReceivedAt time.Time `json:"received_at"`
		} `json:"data"`
		NextCursor *string `json:"next_cursor"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		return nil, "", fmt.Errorf("the mailbox's answer: %w", err)
	}
	mails := make([]audit.Mail, 0, len(body.Data))
	for _, one := range body.Data {
		mails = append(mails, audit.Mail(one))
	}
	next := ""
	if body.NextCursor != nil {
		next = *body.NextCursor
	}
	return mails, next, nil
}

type mailView struct {
	MessageID  string    `json:"message_id"`
	To         string    `json:"to"`
	Subject    string    `json:"subject"`
	Deliveries int       `json:"deliveries"`
	ReceivedAt wire.Time `json:"received_at"`
	PaymentID  string    `json:"payment_id"`
}

const sentSQL = `
SELECT message_id, payment_id, recipient, queued_at FROM emails WHERE merchant_id = $1 ORDER BY id DESC LIMIT 100`

// errOlder ends a listing at what came before the sandbox's mails were written.
var errOlder = errors.New("older than what is looked for")

// mails is GET /v1/lab/mailbox. Two sandboxes may use one address; each sees
// only the mails that its own payments caused.
func (r *routes) mails(w http.ResponseWriter, q *http.Request) {
	var sent []struct {
		MessageID string    `db:"message_id"`
		PaymentID uuid.UUID `db:"payment_id"`
		Recipient string    `db:"recipient"`
		QueuedAt  time.Time `db:"queued_at"`
	}
	if r.Mailbox == nil {
		reply.Refuse(w, q, wire.KindNotFound, "This build knows no mailbox.")
		return
	}
	if err := r.DB.Select(q.Context(), &sent, sentSQL, caller.From(q.Context()).Merchant); err != nil {
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
		return
	}
	views := []mailView{}
	of, since := map[string]uuid.UUID{}, map[string]time.Time{} // by message, and by address
	for _, s := range sent {
		of[s.MessageID], since[s.Recipient] = s.PaymentID, s.QueuedAt // the oldest is the last
	}
	for recipient, first := range since {
		err := r.Mailbox.each(q.Context(), url.Values{"to": {recipient}}, func(m audit.Mail) error {
			if payment, ours := of[m.MessageID]; ours {
				views = append(views, mailView{m.MessageID, m.To, m.Subject, m.Deliveries, wire.At(m.ReceivedAt), wire.PrefixPayment.ID(payment)})
			}
			if m.ReceivedAt.Before(first.Add(-time.Minute)) { // two clocks
				return errOlder
			}
			return nil
		})
		if err != nil && !errors.Is(err, errOlder) {
			r.Log.Warn("the mailbox cannot be asked", "error", err)
			reply.Refuse(w, q, wire.KindUnavailable, "The mailbox is away.")
			return
		}
	}
	slices.SortFunc(views, func(a, b mailView) int { return time.Time(b.ReceivedAt).Compare(time.Time(a.ReceivedAt)) })
	reply.JSON(w, http.StatusOK, map[string]any{"data": views, "mailbox_url": r.Mailbox.client.URL() + "/mailbox"})
}
