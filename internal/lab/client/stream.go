package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"payonce/internal/edge/wire"
)

// silenceLimit: the shop says something every 15 s; silence for longer than this
// is a dead line.
const silenceLimit = 20 * time.Second

// longestLine bounds one line of the stream, in bytes.
const longestLine = 8 << 20

// Listener hears what comes over the stream.
type Listener struct {
	// Activity is called once for each, in the order in which they came. An
	// error ends the listening.
	Activity func(wire.Activity) error
	// State hears of the line: live, lost, reset (the journal no longer knows
	// where we were: what happened meanwhile is missing), offline and online (the
	// shop's database).
	State func(state string)
}

// Follow listens to the stream until ctx ends. A line that breaks is opened
// again and resumed after the last event that came; the shop repeats some from
// before that one, and none is told twice. Its error is that of the listener, or
// of a shop that cannot be reached at the first attempt or refuses.
func (c *Client) Follow(ctx context.Context, l Listener) error {
	f := follower{client: c, listener: l, seen: seen{ids: map[string]bool{}}}
	pause := &backoff.ExponentialBackOff{InitialInterval: 250 * time.Millisecond, Multiplier: 2, MaxInterval: 3 * time.Second}
	pause.Reset()
	for first := true; ; first = false {
		opened, err := f.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errListener):
			return err
		case !opened && (first || !mayAskAgain(err)):
			return err
		case opened:
			pause.Reset()
			l.State("lost")
		}
		if !sleep(ctx, pause.NextBackOff()) {
			return nil
		}
	}
}

var errListener = errors.New("the listener has ended")

type follower struct {
	client   *Client
	listener Listener
	last     string
	seen     seen
}

// once reads until the line breaks; opened says whether it had been open at all.
func (f *follower) once(ctx context.Context) (opened bool, err error) {
	ctx, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	alarm := time.AfterFunc(silenceLimit, func() { hangUp(ErrSilence) })
	defer alarm.Stop()
	path := "/v1/stream"
	if f.last != "" {
		path += "?after=" + f.last
	}
	res, err := f.client.Open(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, err := f.client.read(ctx, res)
		if err != nil {
			return false, err
		}
		return false, refusal(answer, path)
	}
	f.listener.State("live")
	var now frame
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		alarm.Reset(silenceLimit)
		if line := lines.Text(); line != "" {
			now.add(line)
			continue
		}
		if err := f.take(now); err != nil {
			return true, err
		}
		now = frame{}
	}
	return true, lines.Err()
}

// frame is one server-sent event.
type frame struct{ id, event, data string }

func (m *frame) add(line string) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		m.id = value
	case "event":
		m.event = value
	case "data":
		m.data += value
	}
}

func (f *follower) take(m frame) error {
	switch m.event {
	case "activity":
		var a wire.Activity
		if err := json.Unmarshal([]byte(m.data), &a); err != nil {
			return fmt.Errorf("%w: an event cannot be read: %w", errListener, err)
		}
		if !f.seen.first(a.ID) {
			return nil
		}
		if err := f.listener.Activity(a); err != nil {
			return fmt.Errorf("%w: %w", errListener, err)
		}
		// Only now: an event that was not told is asked for again. What a process
		// says of itself is not kept, and cannot be resumed from: it has no id.
		if m.id != "" {
			f.last = m.id
		}
	case "reset":
		f.last = ""
		f.listener.State(m.event)
	case "offline", "online":
		f.listener.State(m.event)
	}
	return nil
}

// seen remembers the ids that came lately: more than the shop repeats.
type seen struct {
	ids   map[string]bool
	order []string
}

const remembered = 20_000

func (s *seen) first(id string) bool {
	if s.ids[id] {
		return false
	}
	if len(s.order) >= remembered {
		half := s.order[:remembered/2]
		for _, old := range half {
			delete(s.ids, old)
		}
		s.order = append([]string(nil), s.order[remembered/2:]...)
	}
	s.ids[id] = true
	s.order = append(s.order, id)
	return true
}
