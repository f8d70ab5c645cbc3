package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

// frame is one server-sent event.
type frame struct{ ID, Event, Data string }

// listen opens the stream as the edge's sandbox. The frames end with the test.
func (e *edge) listen(header map[string]string) <-chan frame {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", e.server.URL+"/v1/stream", http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+e.key)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := raw.RoundTrip(r) //nolint:bodyclose // closed when the test ends
	if err != nil {
		e.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		e.t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	frames := make(chan frame, 1000)
	go func() {
		defer close(frames)
		var f frame
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				f.ID = value
			case "event":
				f.Event = value
			case "data":
				f.Data = value
			case "":
				if f.Event != "" {
					frames <- f
				}
				f = frame{}
			}
		}
	}()
	e.t.Cleanup(func() {
		cancel()
		_ = res.Body.Close()
		for range frames { // until the reader has ended
		}
	})
	return frames
}

func (e *edge) frame(frames <-chan frame) frame {
	e.t.Helper()
	select {
	case f, open := <-frames:
		if !open {
			e.t.Fatal("the stream ended")
		}
		return f
	case <-time.After(10 * time.Second):
		e.t.Fatal("nothing within 10 s")
	}
	return frame{}
}

// until reads frames up to one of this kind.
func (e *edge) until(frames <-chan frame, kind string) (seen []wire.Activity, last frame) {
	e.t.Helper()
	for {
		f := e.frame(frames)
		if f.Event == kind {
			return seen, f
		}
		var a wire.Activity
		if err := json.Unmarshal([]byte(f.Data), &a); err != nil {
			e.t.Fatalf("%v: %s", err, f.Data)
		}
		seen = append(seen, a)
		if string(a.Kind) == kind {
			return seen, f
		}
	}
}

func (e *edge) flush() {
	e.t.Helper()
	if err := e.journal.Flush(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func TestTheStreamShowsOneCaptureUnderOneTrace(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	e.flush()
	frames := e.listen(nil)
	if r := e.capture(o.Payment, "a-key-that-ends-in-9f3c", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	e.flush()
	var story []string
	trace := ""
	for len(story) == 0 || story[len(story)-1] != "committed" {
		var a wire.Activity
		if err := json.Unmarshal([]byte(e.frame(frames).Data), &a); err != nil {
			t.Fatal(err)
		}
		if *a.Operation != "capture" {
			continue // the order's own lines, still within the window
		}
		story = append(story, string(a.Kind))
		if trace == "" {
			trace = *a.TraceID
			if a.Node != "gateway" {
				t.Errorf("an attempt with an API key came from %q", a.Node)
			}
		}
		if *a.PaymentID != o.Payment.ID || *a.KeySuffix != "9f3c" || *a.TraceID != trace || len(trace) != 32 {
			t.Errorf("got %+v", a)
		}
	}
	if got := strings.Join(story, " "); got != "attempt.received claimed charge.sent charge.answered committed" {
		t.Errorf("the story: %s", got)
	}
}

// The server ends an answer that takes longer than its write deadline; a stream moves it.
func TestAStreamOutlivesTheServersWriteDeadline(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const deadline = 200 * time.Millisecond // shorter than what a busy machine needs for an order
	hasty := httptest.NewUnstartedServer(e.server.Config.Handler)
	hasty.Config.WriteTimeout = deadline
	hasty.Start()
	t.Cleanup(hasty.Close)
	patient := e.server
	e.server = hasty
	frames := e.listen(nil)
	time.Sleep(3 * deadline) // what is to be outlived
	e.server = patient
	if r := e.capture(e.order().Payment, "late", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	e.flush()
	e.until(frames, "committed")
}

func TestAResumeRepeatsAndAnUnknownIDResets(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	frames := e.listen(nil)
	e.order()
	e.flush()
	seen, last := e.until(frames, "committed")
	if last.ID == "" || last.ID != seen[len(seen)-1].ID {
		t.Fatalf("id %q", last.ID)
	}
	again, _ := e.until(e.listen(map[string]string{"Last-Event-ID": last.ID}), "committed")
	if again[len(again)-1].ID != last.ID || len(again) != len(seen) {
		t.Errorf("resumed with %d events, had %d", len(again), len(seen))
	}
	for _, unknown := range []string{uuid.Must(uuid.NewV7()).String(), "42"} {
		if f := e.frame(e.listen(map[string]string{"Last-Event-ID": unknown})); f.Event != "reset" || f.ID != "" {
			t.Errorf("%s: %+v", unknown, f)
		}
	}
}

func TestTheStreamSaysThatTheDatabaseIsAwayAndBack(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	frames := e.listen(nil)
	e.gate.close()
	if f := e.frame(frames); f.Event != "offline" {
		t.Fatalf("got %+v", f)
	}
	late := e.listen(map[string]string{"Last-Event-ID": uuid.Must(uuid.NewV7()).String()})
	if f := e.frame(late); f.Event != "offline" {
		t.Fatalf("a newcomer got %+v", f)
	}
	e.gate.open()
	if f := e.frame(frames); f.Event != "online" {
		t.Fatalf("got %+v", f)
	}
	e.until(late, "reset")
}

func TestAStrangersStreamStaysSilent(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	mine := e.key
	e.key = e.newKey()
	frames := e.listen(nil)
	theirs := e.key
	e.key = mine
	e.order()
	e.key = theirs
	e.post("/v1/orders", "the-strangers-own", newOrder)
	e.flush()
	var a wire.Activity
	if err := json.Unmarshal([]byte(e.frame(frames).Data), &a); err != nil {
		t.Fatal(err)
	}
	if *a.KeySuffix != "-own" {
		t.Errorf("the stranger heard %+v", a)
	}
}
