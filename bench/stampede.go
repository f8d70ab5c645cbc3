package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// stampedeLine measures a thousand clicks with one key at the same moment, and what those
// notice who pay meanwhile.
func stampedeLine(h *house) line {
	s := &stampedes{captures{house: h, clients: 4}}
	return line{
		Name: "stampede", Title: "A thousand duplicates of one key at once", Unit: "requests per second", Half: 1,
		Notes: []string{
			"A thousand connections are open before the clock starts, and each sends one request. In a stampede the key is new: one request captures, the others wait for its answer. Everyone gets the same body, and the provider counts one charge for each stampede.",
			"Unrelated captures begin by a clock, twenty a second, each counted from when it was due; beside them one stampede follows the other.",
		},
		Contenders: []contender{
			{Name: "replays", Title: "a thousand requests with a key that was used", Slice: s.crowded(false)},
			{Name: "stampede", Title: "a thousand requests with a key that is new", Slice: s.crowded(true)},
			{Name: "alone", Title: "unrelated captures, nothing else goes on", Slice: s.unrelated(false)},
			{Name: "beside", Title: "unrelated captures during stampedes", Slice: s.unrelated(true)},
		},
		Ratios: []ratio{
			{Of: "stampede", To: "replays", Target: 1. / 3},
			{Of: "beside", To: "alone", What: "99th of a hundred", Target: 2, AtMost: true, Value: func(s slice) float64 { return s.P99Millis }},
		},
		Open: s.open,
	}
}

type stampedes struct{ captures }

// crowdSize is how many clicks come together.
const crowdSize = 1000

// crowd is as many connections to the api.
type crowd struct {
	conns []net.Conn
	read  []*bufio.Reader
}

func newCrowd(address string) (*crowd, error) {
	c := &crowd{}
	for range crowdSize {
		conn, err := (&net.Dialer{LocalAddr: nextAddress()}).Dial("tcp", address)
		if err != nil {
			return nil, errors.Join(err, c.leave())
		}
		c.conns, c.read = append(c.conns, conn), append(c.read, bufio.NewReader(conn))
	}
	return c, nil
}

func (c *crowd) leave() error {
	var problems []error
	for _, conn := range c.conns {
		problems = append(problems, conn.Close())
	}
	return errors.Join(problems...)
}

// send has each send the request, and compares the answers.
func (c *crowd) send(request []byte) error {
	problems, answers := make([]error, len(c.conns)), make([][]byte, len(c.conns))
	var all sync.WaitGroup
	for i, conn := range c.conns {
		all.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			if _, problems[i] = conn.Write(request); problems[i] == nil {
				answers[i], problems[i] = readCaptured(c.read[i])
			}
		})
	}
	all.Wait()
	for _, answer := range answers {
		if err := errors.Join(problems...); err != nil {
			return err
		}
		if !bytes.Equal(answer, answers[0]) {
			return fmt.Errorf("two answers to one key: %s and %s", answer, answers[0])
		}
	}
	return nil
}

// crowded measures crowds that follow each other for a slice.
func (s *stampedes) crowded(fresh bool) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		c, err := newCrowd(strings.TrimPrefix(s.folded.URL, "http://"))
		if err != nil {
			return err
		}
		defer func() { _ = c.leave() }()
		l, err := s.keysOf(ctx, int(t.length.Seconds()*8)+2)
		if err != nil {
			return err
		}
		if !fresh {
			if err := l.whole(s.clients); err != nil {
				return err
			}
		}
		charged, n := s.instant.count(), 0
		if err := c.send(l.requests[0]); err != nil { // the connections' first
			return err
		}
		t.start(ctx)
		for n+1 < len(l.requests) && time.Since(t.began) < t.length {
			n++
			if err := c.send(l.requests[n]); err != nil {
				return err
			}
		}
		t.stop(n * crowdSize)
		want := 0
		if fresh {
			want = n + 1
		}
		if more := s.instant.count() - charged; more != want {
			return fmt.Errorf("%d keys were new, and %d charges were made", want, more)
		}
		return nil
	}
}

// keysOf are captures of as many sandboxes, for each of which a crowd is what its limit allows.
func (s *stampedes) keysOf(ctx context.Context, n int) (*load, error) {
	sandboxes, err := newSandboxes(ctx, s.folded.URL, n)
	if err != nil {
		return nil, err
	}
	jobs, err := s.seed(ctx, merchantsOf(sandboxes), n)
	if err != nil {
		return nil, err
	}
	return newLoad(s.folded.URL, "", sandboxes, jobs), nil
}

// unrelated measures captures by a clock, with stampedes beside them or without.
func (s *stampedes) unrelated(beside bool) func(context.Context, *clock) error {
	const aSecond = 20
	return func(ctx context.Context, t *clock) error {
		length := max(t.length, arrivalLength)
		l, err := s.keysOf(ctx, int(length.Seconds()*aSecond)+s.clients)
		if err != nil {
			return err
		}
		l.every = time.Second * time.Duration(s.clients) / aSecond
		over, ended := make(chan struct{}), make(chan error, 1)
		if beside {
			storm, err := s.keysOf(ctx, int(length.Seconds()*8))
			if err != nil {
				return err
			}
			c, err := newCrowd(storm.address)
			if err != nil {
				return err
			}
			defer func() { _ = c.leave() }()
			t.start(ctx)
			go func() { ended <- c.storm(storm, over) }()
		} else {
			t.start(ctx)
			ended <- nil
		}
		l.run(s.clients, length)
		t.stop(l.captured())
		close(over)
		t.latency = l.latencies()
		p50, p99 := percentiles(t.latency)
		t.note("p50 ms", p50)
		t.note("p99 ms", p99)
		return errors.Join(l.problem(), <-ended)
	}
}

// storm sends one stampede after the other until it is over.
func (c *crowd) storm(l *load, over <-chan struct{}) error {
	for _, request := range l.requests {
		select {
		case <-over:
			return nil
		default:
		}
		if err := c.send(request); err != nil {
			return err
		}
	}
	return nil
}
