package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
)

// Signal says what a [Message] is.
type Signal string

// The events of the stream.
const (
	SignalActivity Signal = "activity"
	SignalReset    Signal = "reset"   // the client's picture has a gap: it reloads its state
	SignalOffline  Signal = "offline" // the database is away; what is shown may be old
	SignalOnline   Signal = "online"  // it is back, and the journal is read again
)

// Message is one event of the stream.
type Message struct {
	Signal   Signal
	Activity *wire.Activity
	// Resumable says that the activity is a row of the journal, so that a client
	// may resume from its id.
	Resumable bool
}

// TailOptions is what a [Tail] needs; zero values get the defaults.
type TailOptions struct {
	DB  *postgres.DB
	Log *slog.Logger
	// Neighbours are asked twice a second while somebody listens.
	Neighbours []Neighbour
	// Poll is the pause between looks at the journal while somebody listens; 150 ms.
	Poll time.Duration
	// Buffer is how far a listener may fall behind before it is let go; 2,048.
	Buffer int
}

// Tail reads the journal once for all listeners of a process.
type Tail struct {
	opts TailOptions
	wake chan struct{}

	mu        sync.Mutex
	listeners map[*Subscription]struct{}
	offline   bool
	closed    bool
}

// NewTail makes a Tail; nothing is read before [Tail.Run] runs and somebody
// listens.
func NewTail(o TailOptions) *Tail {
	if o.Poll == 0 {
		o.Poll = 150 * time.Millisecond
	}
	if o.Buffer == 0 {
		o.Buffer = 2048
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Tail{opts: o, wake: make(chan struct{}, 1), listeners: map[*Subscription]struct{}{}}
}

// Subscription is one listener. Messages is closed when it fell too far behind
// or the process stops; the client comes back with the last id it has.
type Subscription struct {
	Messages <-chan Message

	messages chan Message
	merchant uuid.UUID
	tail     *Tail
	gone     bool
}

// Subscribe begins to listen to one merchant's activity.
func (t *Tail) Subscribe(merchant uuid.UUID) *Subscription {
	c := make(chan Message, t.opts.Buffer)
	s := &Subscription{Messages: c, messages: c, merchant: merchant, tail: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		s.gone = true
		close(c)
		return s
	}
	if t.offline {
		c <- Message{Signal: SignalOffline}
	}
	t.listeners[s] = struct{}{}
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return s
}

// Close stops listening.
func (s *Subscription) Close() {
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	s.tail.drop(s)
}

// drop needs t.mu.
func (t *Tail) drop(s *Subscription) {
	if !s.gone {
		s.gone = true
		delete(t.listeners, s)
		close(s.messages)
	}
}

// tell gives a message to the listeners of a merchant, or to all of them when
// merchant is the zero id. Who cannot take it is let go.
func (t *Tail) tell(merchant uuid.UUID, m Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.listeners {
		if merchant != uuid.Nil && s.merchant != merchant {
			continue
		}
		select {
		case s.messages <- m:
		default:
			t.drop(s)
		}
	}
}

func (t *Tail) merchants() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[uuid.UUID]bool{}
	var ids []string
	for s := range t.listeners {
		if !seen[s.merchant] {
			seen[s.merchant] = true
			ids = append(ids, s.merchant.String())
		}
	}
	return ids
}

// Run polls while somebody listens, until ctx ends; then every subscription is
// closed. End it before the server's Shutdown, which waits for open streams.
func (t *Tail) Run(ctx context.Context) error {
	defer t.close()
	r := &reader{tail: t, sent: map[uuid.UUID]time.Time{}}
	tick := time.NewTicker(t.opts.Poll)
	defer tick.Stop()
	for {
		if len(t.merchants()) == 0 {
			r.forget()
			select {
			case <-ctx.Done():
				return nil
			case <-t.wake:
			}
		}
		r.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-t.wake:
		}
	}
}

func (t *Tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for s := range t.listeners {
		t.drop(s)
	}
}

// setOffline tells everybody when the database goes away or comes back.
func (t *Tail) setOffline(away bool) {
	t.mu.Lock()
	changed := t.offline != away
	t.offline = away
	t.mu.Unlock()
	switch {
	case changed && away:
		t.tell(uuid.Nil, Message{Signal: SignalOffline})
	case changed:
		t.tell(uuid.Nil, Message{Signal: SignalOnline})
	}
}

func processMessage(p Process, at time.Time) Message {
	kind := observe.ProcessDown
	if p.Up() {
		kind = observe.ProcessUp
	}
	return Message{Signal: SignalActivity, Activity: &wire.Activity{
		ID: uuid.Must(uuid.NewV7()).String(), At: wire.At(at), Kind: wire.ActivityKind(kind), Node: p.Name,
	}}
}
