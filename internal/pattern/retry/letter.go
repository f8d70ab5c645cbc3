package retry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/envelope"
	"payonce/once/rabbit"
)

// letter is a dead letter as the table keeps it.
type letter struct {
	consumer    string
	eventKey    string    // the event's id, or a hash where there is none
	event       uuid.UUID // the zero id where there is none
	replay      int
	scope       uuid.UUID
	kind        string
	class       Class
	reason      string
	attempts    int
	headers     []byte
	payload     []byte
	firstFailed time.Time
	lastFailed  time.Time
}

// read makes a letter of whatever arrives. It never fails: what cannot be read
// is exactly what a person has to see.
func read(d rabbit.Delivery, now time.Time) letter {
	sent, broken := envelope.Parse(d.Message)
	l := letter{
		consumer: consumerOf(d), event: sent.EventID, replay: bounded(sent.Replay), scope: sent.Scope,
		kind: cleanText(sent.Type), class: Class(cleanText(text(d, HeaderClass))), reason: cleanText(text(d, HeaderReason)),
		attempts: bounded(sent.Attempt), payload: append([]byte{}, d.Body...),
		firstFailed: moment(d, HeaderFirstFailed, now), lastFailed: moment(d, HeaderLastFailed, now),
	}
	if l.class == "" {
		// Nobody of ours sent it: the queue's delivery limit did.
		l.class = ClassPoison
		l.reason = fmt.Sprintf("the broker gave it up (%s): its consumer may die of it", deathReason(d))
	}
	l.eventKey = l.event.String()
	if l.event == uuid.Nil {
		sum := sha256.Sum256(append([]byte(l.consumer+"\x00"), d.Body...))
		l.eventKey = "sha256:" + hex.EncodeToString(sum[:])
		if broken != nil && l.reason == "" {
			l.reason = cleanText(broken.Error())
		}
	}
	l.headers = headersJSON(d.Headers)
	return l
}

// bounded fits a number from outside into the column.
func bounded(n int) int { return min(max(n, 0), math.MaxInt32) }

// consumerOf names the queue whose message this was.
func consumerOf(d rabbit.Delivery) string {
	if c := text(d, HeaderConsumer); c != "" {
		return cleanText(c)
	}
	return cleanText(d.Key) // A work queue dead-letters under its own name.
}

func deathReason(d rabbit.Delivery) string {
	if r := text(d, "x-first-death-reason"); r != "" {
		return cleanText(r)
	}
	return "no reason given"
}

func text(d rabbit.Delivery, header string) string {
	s, _ := d.Headers[header].(string)
	return s
}

func moment(d rabbit.Delivery, header string, otherwise time.Time) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text(d, header))
	if err != nil {
		return otherwise
	}
	return t
}

// cleanText makes text from outside fit a column: Postgres refuses a zero
// character and invalid UTF-8, and a dead letter must not die of that.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�")
}

// headersJSON keeps the headers readable. Values that JSON or jsonb cannot hold
// are written out as text.
func headersJSON(headers map[string]any) []byte {
	shown := map[string]string{}
	for name, value := range headers {
		shown[cleanText(name)] = cleanText(fmt.Sprint(value))
	}
	b, err := json.Marshal(shown)
	if err != nil {
		return []byte("{}")
	}
	return b
}
