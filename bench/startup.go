package main

import (
	"context"
	"errors"
	"time"

	"payonce/internal/lab/devstack"
)

// startLine measures how soon each program can be used, with its services up.
func startLine(h *house) line {
	s := &starts{house: h}
	l := line{
		Name: "start", Title: "From the start of a process to its first 200 on /readyz", Unit: "milliseconds", Half: 2, Shown: figure("ms"),
		Notes: []string{"Postgres and RabbitMQ run, the schema is there. The program is asked every 5 ms."},
		Open:  s.open,
	}
	for _, name := range []string{"api", "relay", "worker"} {
		l.Contenders = append(l.Contenders, contender{Name: name, Title: "cmd/" + name, Slice: s.of(name)})
		l.Limits = append(l.Limits, limit{Of: name, What: "ms until it is ready", Most: 300, Value: figure("ms")})
	}
	return l
}

type starts struct{ *house }

func (s *starts) open(context.Context) (end func() error, err error) {
	return func() error { return nil }, nil
}

func (s *starts) of(name string) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		at, err := devstack.FreeAddress(ctx)
		if err != nil {
			return err
		}
		listen := "PAYONCE_ADMIN_LISTEN=" + at
		if name == "api" {
			listen = "PAYONCE_LISTEN=" + at
		}
		p := s.program(name, at, "/readyz", listen, "PAYONCE_SMTP_ADDR=127.0.0.1:9", "PAYONCE_PUBLIC_URL=http://127.0.0.1")
		t.start(ctx)
		if _, err := p.Launch(); err != nil {
			return err
		}
		limit := time.After(30 * time.Second)
		for err := p.Ready(ctx); err != nil; err = p.Ready(ctx) {
			select {
			case <-limit:
				return errors.Join(err, stop(p))
			case <-time.After(5 * time.Millisecond):
			}
		}
		t.stop(1)
		t.note("ms", millis(t.took))
		return stop(p)
	}
}
