package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/wire"
)

const (
	heartbeat = 15 * time.Second
	// StreamWrite bounds one write: a client that does not read is let go.
	StreamWrite = 10 * time.Second
	// AnswerBeyondWait is what an answer may take beside the longest wait that its
	// client may ask for.
	AnswerBeyondWait = 30 * time.Second
)

// StreamActivity is GET /v1/stream.
func (s *server) StreamActivity(ctx context.Context, r gen.StreamActivityRequestObject) (gen.StreamActivityResponseObject, error) {
	over := func() {}
	if c, ok := ctx.(*gin.Context); ok {
		if over, ok = s.streams.begin(s.client(c)); !ok {
			return nil, tooMany(heartbeat)
		}
	}
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		over()
		return nil, err
	}
	// Listening begins before the past is read: between the two nothing is lost,
	// some of it comes twice, and the client drops ids that it has.
	st := &stream{ctx: ctx, sub: s.Tail.Subscribe(merchant), over: over}
	last := r.Params.LastEventID
	if last == nil {
		last = r.Params.After
	}
	if last != nil {
		st.past, err = s.Tail.Resume(ctx, merchant, *last)
		if err != nil {
			// The journal cannot be asked. The stream opens all the same, says
			// so, and makes the client reload when it is back.
			st.past, st.resetWhenBack = []journal.Message{{Signal: journal.SignalOffline}}, true
		}
	}
	return st, nil
}

// stream is one open connection.
type stream struct {
	ctx           context.Context //nolint:containedctx // lives exactly as long as the response
	sub           *journal.Subscription
	past          []journal.Message
	resetWhenBack bool
	over          func()
}

// VisitStreamActivityResponse implements gen.StreamActivityResponseObject. It
// returns when the client has gone, has fallen behind, or the process stops.
func (st *stream) VisitStreamActivityResponse(w http.ResponseWriter) error {
	defer st.over()
	defer st.sub.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := sse{w: w, control: http.NewResponseController(w)}
	if err := out.send([]byte("retry: 1000\n\n")); err != nil {
		return err
	}
	for _, m := range st.past {
		if err := out.message(m); err != nil {
			return err
		}
	}
	ping := time.NewTicker(heartbeat)
	defer ping.Stop()
	for {
		select {
		case <-st.ctx.Done():
			return nil
		case m, open := <-st.sub.Messages:
			if !open {
				return nil
			}
			if err := st.forward(out, m); err != nil {
				return err
			}
		case <-ping.C:
			if err := out.send([]byte("event: ping\ndata: {}\n\n")); err != nil {
				return err
			}
		}
	}
}

func (st *stream) forward(out sse, m journal.Message) error {
	if err := out.message(m); err != nil {
		return err
	}
	if m.Signal == journal.SignalOnline && st.resetWhenBack {
		st.resetWhenBack = false
		return out.message(journal.Message{Signal: journal.SignalReset})
	}
	return nil
}

// sse writes server-sent events.
type sse struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (o sse) message(m journal.Message) error {
	var b bytes.Buffer
	if m.Resumable {
		b.WriteString("id: " + m.Activity.ID + "\n")
	}
	b.WriteString("event: " + string(m.Signal) + "\ndata: ")
	if m.Activity != nil {
		b.Write(wire.Encode(m.Activity)) // ends with a newline
	} else {
		b.WriteString("{}\n")
	}
	b.WriteString("\n")
	return o.send(b.Bytes())
}

func (o sse) send(b []byte) error {
	// A server without deadlines (a test's recorder) has none to move.
	_ = o.control.SetWriteDeadline(time.Now().Add(StreamWrite)) //nolint:forbidigo // the connection's deadline, not a decision
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.control.Flush()
}
