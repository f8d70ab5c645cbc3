package retry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"payonce/once/envelope"
	"payonce/once/rabbit"
)

// read makes a letter of whatever arrives. It never fails: what cannot be read
// is exactly what a person has to see.
func (p Names) read(d rabbit.Delivery, now time.Time) Letter {
	sent, broken := p.Format.Parse(d.Message)
	l := Letter{
		Consumer: p.consumerOf(d), EventID: sent.EventID, ReplayNo: bounded(sent.Replay), Scope: sent.Scope,
		Type: cleanText(sent.Type), Class: cleanText(d.Text(p.Format.Class)), Reason: cleanText(d.Text(p.Format.Reason)),
		Attempts: bounded(sent.Attempt), Payload: append([]byte{}, d.Body...), RawHeaders: headersJSON(d.Headers),
		FirstFailed: moment(d, p.Format.FirstFailed, now), LastFailed: moment(d, p.Format.LastFailed, now), format: p.Format,
	}
	if strings.HasPrefix(l.EventID, hashed) {
		l.EventID = "" // it would be taken for a hash
	}
	if l.Class == "" {
		// Nobody of ours sent it: the queue's delivery limit did.
		l.Class = string(ClassPoison)
		l.Reason = fmt.Sprintf("the broker gave it up (%s): its consumer may die of it", deathReason(d))
	}
	if l.EventID == "" {
		l.EventID = hashOf(l.Consumer, d.Body)
		if broken != nil && l.Reason == "" {
			l.Reason = cleanText(broken.Error())
		}
	}
	return l
}

// bare is the letter that is left when the database refuses one for what its headers say:
// found by its body, the operator's own. What they said stands in the headers.
func (l Letter) bare(d rabbit.Delivery, now time.Time, refused error) Letter {
	l.Scope, l.Consumer = "", cleanText(d.Key)
	l.EventID = hashOf(l.Consumer, d.Body)
	l.Class, l.Reason = string(ClassPoison), cleanText("its headers could not be written down: "+refused.Error())
	l.FirstFailed, l.LastFailed = now, now
	return l
}

func hashOf(consumer string, body []byte) string {
	sum := sha256.Sum256(append([]byte(consumer+"\x00"), body...))
	return hashed + hex.EncodeToString(sum[:])
}

// bounded fits a number from outside into the column.
func bounded(n int) int { return min(max(n, 0), math.MaxInt32) }

// consumerOf names the queue whose message this was.
func (p Names) consumerOf(d rabbit.Delivery) string {
	if c := d.Text(p.Format.Consumer); c != "" && envelope.Plain(c) {
		return c
	}
	return cleanText(d.Key) // A work queue dead-letters under its own name.
}

func deathReason(d rabbit.Delivery) string {
	if r := d.Text("x-first-death-reason"); r != "" {
		return cleanText(r)
	}
	return "no reason given"
}

func moment(d rabbit.Delivery, header string, otherwise time.Time) time.Time {
	t, err := envelope.ReadTime(d.Text(header))
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
