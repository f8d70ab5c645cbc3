package world

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// Message is one mail as a person finds it: however often it was delivered,
// the mailbox shows it once.
type Message struct {
	ID         string `json:"id"`
	MessageID  string `json:"message_id"`
	From       string `json:"from"`
	To         string `json:"to"`
	Subject    string `json:"subject"`
	Text       string `json:"text"`
	Deliveries int    `json:"deliveries"`
	ReceivedAt string `json:"received_at"` // of the first delivery
}

// letters is the mailbox's memory: like the books, one statement per change.
type letters struct{ db *sql.DB }

// storeSQL appends the arrival and shows it as a new message, or as one more
// delivery of an old one. It counts from the arrivals it has really inserted,
// so that a statement which the driver runs twice counts once.
const storeSQL = `
WITH arrived AS (
    INSERT INTO mail_arrivals (arrival_id, recipient, message_id, received_at)
    SELECT $1, recipient, $2, $3 FROM unnest($4::text[]) AS recipient
    ON CONFLICT (arrival_id, recipient) DO NOTHING
    RETURNING recipient
)
INSERT INTO mail_messages (id, message_id, recipient, sender, subject, body_text, deliveries, received_at)
SELECT $1 || lpad(to_hex(array_position($4::text[], recipient)), 2, '0'), $2, recipient, $5, $6, $7, 1, $3
FROM arrived ORDER BY recipient -- the same order in every session: no deadlock
ON CONFLICT (message_id, recipient) DO UPDATE SET deliveries = mail_messages.deliveries + 1`

// store keeps one accepted DATA for each of its recipients.
func (l *letters) store(ctx context.Context, mail letter, from string, to []string, at time.Time) error {
	arrival := uuid.Must(uuid.NewV7())
	id := "msg_" + hex.EncodeToString(arrival[:])
	if mail.messageID == "" {
		mail.messageID = "<" + id + "@world.invalid>" // nothing to dedupe on
	}
	to = slices.Compact(slices.Sorted(slices.Values(to)))
	if _, err := l.db.ExecContext(ctx, storeSQL, id, mail.messageID, at, pq.Array(to),
		cleanText(from), mail.subject, mail.text); err != nil {
		return fmt.Errorf("world: store a mail: %w", err)
	}
	return nil
}

// mailFilter selects messages; empty fields select all.
type mailFilter struct {
	id, to, messageID string
	before            string // exclusive: the id of the last message already seen
	limit             int
}

const messagesSQL = `
SELECT id, message_id, sender, recipient, subject, body_text, deliveries, received_at
FROM mail_messages
WHERE ($1 = '' OR id = $1) AND ($2 = '' OR lower(recipient) = lower($2))
  AND ($3 = '' OR message_id = $3) AND ($4 = '' OR id < $4)
ORDER BY id DESC
LIMIT $5`

// list returns messages, newest first.
func (l *letters) list(ctx context.Context, f mailFilter) ([]Message, error) {
	rows, err := l.db.QueryContext(ctx, messagesSQL, f.id, f.to, bracketed(f.messageID), f.before, f.limit)
	if err != nil {
		return nil, fmt.Errorf("world: list mails: %w", err)
	}
	defer rows.Close()
	messages := []Message{}
	for rows.Next() {
		var m Message
		var at time.Time
		if err := rows.Scan(&m.ID, &m.MessageID, &m.From, &m.To, &m.Subject, &m.Text, &m.Deliveries, &at); err != nil {
			return nil, fmt.Errorf("world: read a mail: %w", err)
		}
		m.ReceivedAt = stamp(at)
		messages = append(messages, m)
	}
	return messages, rows.Err()
}

const arrivalsSQL = `
SELECT received_at FROM mail_arrivals
WHERE message_id = $1 AND recipient = $2
ORDER BY received_at, arrival_id LIMIT 100`

// arrivals tells when each twin of a message came, at most a hundred of them.
func (l *letters) arrivals(ctx context.Context, m Message) ([]string, error) {
	rows, err := l.db.QueryContext(ctx, arrivalsSQL, m.MessageID, m.To)
	if err != nil {
		return nil, fmt.Errorf("world: list arrivals: %w", err)
	}
	defer rows.Close()
	var times []string
	for rows.Next() {
		var at time.Time
		if err := rows.Scan(&at); err != nil {
			return nil, fmt.Errorf("world: read an arrival: %w", err)
		}
		times = append(times, stamp(at))
	}
	return times, rows.Err()
}

const greySQL = `
INSERT INTO mail_greylist (recipient, first_at) VALUES (lower($1), $2)
ON CONFLICT (recipient) DO NOTHING`

// greet is true once per recipient: the first time it is sent away.
func (l *letters) greet(ctx context.Context, recipient string, at time.Time) (bool, error) {
	result, err := l.db.ExecContext(ctx, greySQL, recipient, at)
	if err != nil {
		return false, fmt.Errorf("world: greylist: %w", err)
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}

// Counts is what the world has seen so far.
type Counts struct{ Succeeded, Declined, Cancelled, Messages, Deliveries int64 }

const countsSQL = `
SELECT count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'declined'),
       count(*) FILTER (WHERE status = 'cancelled'),
       (SELECT count(*) FROM mail_messages), (SELECT coalesce(sum(deliveries), 0) FROM mail_messages)
FROM charges`

func (l *letters) counts(ctx context.Context) (Counts, error) {
	var c Counts
	err := l.db.QueryRowContext(ctx, countsSQL).Scan(&c.Succeeded, &c.Declined, &c.Cancelled, &c.Messages, &c.Deliveries)
	if err != nil {
		return c, fmt.Errorf("world: count: %w", err)
	}
	return c, nil
}

// bracketed lets a caller name a Message-ID with or without its brackets.
func bracketed(messageID string) string {
	if messageID == "" || strings.HasPrefix(messageID, "<") {
		return messageID
	}
	return "<" + messageID + ">"
}

// cleanText makes anything storable as text: valid UTF-8 without NUL.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
