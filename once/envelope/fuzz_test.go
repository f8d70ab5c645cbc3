package envelope_test

import (
	"strings"
	"testing"
	"time"

	"payonce/once/envelope"
	"payonce/once/message"
)

// FuzzParseEnvelope holds that reading never fails otherwise than by an error,
// and that what is read without one says the same when it is sent on, with ids of any
// text and with ids of a program's own.
func FuzzParseEnvelope(f *testing.F) {
	const id = "0190c2f4-0000-7000-8000-000000000001"
	f.Add(id, id, "2026-11-26T10:00:00Z", "a.b", id, "1", int64(1), []byte(`{"schema":1}`))
	f.Add("", "", "", "", "", "", int64(0), []byte{})
	f.Add("urn:uuid:"+id, "{"+id+"}", "10000-01-01T00:00:00Z", "\x00", "x", "99999999999999999999", int64(-1), []byte{0xff})
	f.Add("00000000-0000-0000-0000-000000000000", id, "2026-02-30T10:00:00Z", "a", "", "-5", int64(1)<<62, []byte("null"))
	anyText, own := envelope.Of("letters"), envelope.Of("letters")
	own.ID = envelope.UUID
	f.Fuzz(func(t *testing.T, event, subject, at, kind, scope, attempt string, replay int64, body []byte) {
		for _, format := range []envelope.Format{anyText, own} {
			e, err := format.Parse(message.Message{Body: body, Headers: map[string]any{
				envelope.HeaderID: event, envelope.HeaderSubject: subject, envelope.HeaderTime: at, envelope.HeaderType: kind,
				format.Scope: scope, format.Attempt: attempt, format.Replay: replay,
			}})
			if e.Attempt < 1 || string(e.Payload) != string(body) {
				t.Fatalf("attempt %d, payload %q", e.Attempt, e.Payload)
			}
			if err != nil {
				continue
			}
			if e.EventID == "" || e.Type == "" || e.AggregateID == "" {
				t.Fatalf("without an error: %+v", e)
			}
			if same, err := format.Read(e.EventID); err != nil || same != e.EventID {
				t.Fatalf("an id is read in a second form: %q, then %q, %v", e.EventID, same, err)
			}
			again, err := format.Parse(format.Message(e, "x", "k"))
			if err != nil || again.EventID != e.EventID || again.AggregateID != e.AggregateID || again.Scope != e.Scope ||
				again.Type != e.Type || again.Attempt != e.Attempt || again.Replay != e.Replay || !again.Time.Equal(e.Time) {
				t.Fatalf("%v: %+v became %+v", err, e, again)
			}
		}
	})
}

func TestWhatAFormatMakesOfAnIDIsTextThatPostgresTakesToo(t *testing.T) {
	t.Parallel()
	f := envelope.Of("letters")
	for _, made := range []string{"a\x00", "\xff", strings.Repeat("x", 256)} {
		f.ID = func(string) (string, error) { return made, nil }
		if id, err := f.Read("short"); err == nil || id != "" {
			t.Errorf("%q, %v", id, err)
		}
	}
}

func TestATimeIsReadIntoOneThatJSONAndPostgresTake(t *testing.T) {
	t.Parallel()
	at, err := envelope.ReadTime("2026-01-01T00:00:00+16:00")
	if err != nil || at.Format(time.RFC3339) != "2025-12-31T08:00:00Z" {
		t.Errorf("%s, %v", at, err)
	}
	for _, no := range []string{"", "9999-12-31T23:59:59-01:00", "0000-12-31T00:00:00Z", "yesterday"} {
		if at, err := envelope.ReadTime(no); err == nil {
			t.Errorf("%s is taken for %s", no, at)
		}
	}
}

func TestTwoProgramsFormatsShareNoHeaderOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := envelope.Envelope{EventID: "1", Type: "letter.sent", AggregateID: "7", AggregateVersion: 3, Scope: "anna", Correlation: "c", Attempt: 2, Replay: 1, PastWindow: true}
	read, err := envelope.Of("parcels").Parse(envelope.Of("letters").Message(e, "", "q"))
	if err == nil && (read.Scope != "" || read.Correlation != "" || read.Attempt != 1 || read.Replay != 0 || read.PastWindow || read.AggregateVersion != 0) {
		t.Errorf("one program reads of another's headers: %+v", read)
	}
}
