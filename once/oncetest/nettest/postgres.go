package nettest

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
)

// Transaction states as ReadyForQuery tells them.
const idle = 'I'

// session is a connection to Postgres, read along: which statements are
// prepared, which of them ran in the transaction that is open, and whether the
// server has said that the last one is durable.
type session struct {
	proxy *Proxy

	mu       sync.Mutex
	begun    bool // the startup message, which has no type, has passed
	sent     []byte
	said     []byte
	prepared map[string]string // by name; "" is the unnamed one
	ran      []string          // in the open transaction
	status   byte
	next     *Loss  // its reply is on its way
	held     []byte // what the server has said of it so far
	watch    watching
}

const cancelRequest = 80877102

// asks reads what the client sends; all of it passes.
func (s *session) asks(b []byte) ([]byte, *Loss) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, b...)
	if !s.begun {
		if len(s.sent) < 8 || len(s.sent) < int(binary.BigEndian.Uint32(s.sent)) {
			return b, nil
		}
		if binary.BigEndian.Uint32(s.sent[4:]) == cancelRequest {
			return b, nil
		}
		s.sent = s.sent[binary.BigEndian.Uint32(s.sent):]
		s.begun = true
	}
	for {
		kind, body, rest, whole := message(s.sent)
		if !whole {
			return b, nil
		}
		s.asked(kind, body)
		s.sent = rest
		if !s.goesOn(kind) {
			return nil, ended()
		}
	}
}

func (s *session) asked(kind byte, body []byte) {
	switch kind {
	case 'P': // Parse: name, query
		name, rest := text(body)
		s.prepared[name], _ = text(rest)
	case 'B': // Bind: portal, name
		_, rest := text(body)
		name, _ := text(rest)
		s.run(s.prepared[name])
	case 'Q':
		query, _ := text(body)
		s.run(query)
	}
}

func (s *session) run(query string) {
	s.watch.asked = append(s.watch.asked, query)
	switch {
	case s.next != nil:
	case beginsWith(query, "BEGIN"):
		s.ran = nil
	case beginsWith(query, "COMMIT"):
		all := strings.Join(s.ran, "\x00")
		s.next = s.proxy.take(commit, func(marker string) bool { return strings.Contains(all, marker) })
	case s.status == idle:
		s.next = s.proxy.take(commit, func(marker string) bool { return strings.Contains(query, marker) })
	default:
		s.ran = append(s.ran, query)
	}
}

// Drivers write the words of a transaction in the case that they like.
func beginsWith(query, word string) bool {
	return len(query) >= len(word) && strings.EqualFold(query[:len(word)], word)
}

// answers reads what the server says and holds it back while it may be the
// reply that is to be lost. It is lost when the server is ready for the next
// query, because only then the last one is durable: of a statement that runs
// alone, CommandComplete comes before its commit.
func (s *session) answers(b []byte) ([]byte, *Loss) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.next != nil
	s.said = append(s.said, b...)
	for {
		kind, body, rest, whole := message(s.said)
		if !whole {
			break
		}
		s.said = rest
		if !s.hears(kind, body) {
			return nil, ended()
		}
		switch {
		case s.next != nil && (kind == 'E' || kind == 'C' && bytes.HasPrefix(body, []byte("ROLLBACK"))):
			s.proxy.putBack(s.next) // it was refused, and that is no secret
			s.next = nil
		case kind == 'Z' && len(body) > 0:
			if s.status = body[0]; s.next != nil {
				return nil, s.next
			}
		}
	}
	if s.next != nil {
		s.held = append(s.held, b...)
		return nil, nil
	}
	if waiting {
		b = append(s.held, b...)
		s.held = nil
	}
	return b, nil
}

// message takes the first message off: type, body, what follows.
func message(b []byte) (kind byte, body, rest []byte, whole bool) {
	const head = 5
	if len(b) < head {
		return 0, nil, b, false
	}
	end := 1 + int(binary.BigEndian.Uint32(b[1:]))
	if end < head || len(b) < end {
		return 0, nil, b, false
	}
	return b[0], b[head:end], b[end:], true
}

// text takes the first zero-terminated string off.
func text(b []byte) (string, []byte) {
	first, rest, _ := bytes.Cut(b, []byte{0})
	return string(first), rest
}
