package envelope_test

import (
	"testing"

	"github.com/google/uuid"

	"payonce/internal/platform/envelope"
	"payonce/once/rabbit"
)

// FuzzParseEnvelope holds that reading never fails otherwise than by an error,
// and that what is read without one says the same when it is sent on.
func FuzzParseEnvelope(f *testing.F) {
	const id = "0190c2f4-0000-7000-8000-000000000001"
	f.Add(id, id, "2026-11-26T10:00:00Z", "a.b", id, "1", int64(1), []byte(`{"schema":1}`))
	f.Add("", "", "", "", "", "", int64(0), []byte{})
	f.Add("urn:uuid:"+id, "{"+id+"}", "10000-01-01T00:00:00Z", "\x00", "x", "99999999999999999999", int64(-1), []byte{0xff})
	f.Add("00000000-0000-0000-0000-000000000000", id, "2026-02-30T10:00:00Z", "a", "", "-5", int64(1)<<62, []byte("null"))
	f.Fuzz(func(t *testing.T, event, subject, at, kind, merchant, attempt string, replay int64, body []byte) {
		m := rabbit.Message{Body: body, Headers: map[string]any{
			envelope.HeaderID: event, envelope.HeaderSubject: subject, envelope.HeaderTime: at, envelope.HeaderType: kind,
			envelope.HeaderMerchant: merchant, envelope.HeaderAttempt: attempt, envelope.HeaderReplay: replay,
		}}
		e, err := envelope.Parse(m)
		if e.Attempt < 1 || string(e.Payload) != string(body) {
			t.Fatalf("attempt %d, payload %q", e.Attempt, e.Payload)
		}
		if err != nil {
			return
		}
		if e.EventID == uuid.Nil || e.Type == "" {
			t.Fatalf("without an error: %+v", e)
		}
		again, err := envelope.Parse(e.Message("x", "k"))
		if err != nil || again.EventID != e.EventID || again.AggregateID != e.AggregateID || again.Scope != e.Scope ||
			again.Type != e.Type || again.Attempt != e.Attempt || again.Replay != e.Replay || !again.Time.Equal(e.Time) {
			t.Fatalf("%v: %+v became %+v", err, e, again)
		}
	})
}
