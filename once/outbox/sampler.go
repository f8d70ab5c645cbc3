package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"payonce/once"
	"payonce/once/message"
)

// Sampler writes queue depths into the database, so that what shows them
// needs no broker.
type Sampler struct {
	DB     once.DB
	Table  Table
	Broker Inspector
	Queues []string
	Log    *slog.Logger
	Every  time.Duration // 0 means 2 s
}

// Inspector looks at a queue without touching it; [rabbit.Conn] is one.
type Inspector interface {
	Depth(ctx context.Context, queue string) (message.Depth, error)
}

// Run samples until ctx ends. A broker or database that is away leaves old
// samples, which show their age.
func (s Sampler) Run(ctx context.Context) error {
	if s.Every == 0 {
		s.Every = 2 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		if err := s.sample(ctx); err != nil && ctx.Err() == nil {
			s.Log.Debug("queue depths were not sampled", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

const writeSample = `
INSERT INTO {queue_samples} (queue, ready, consumers, sampled_at)
VALUES (@queue, @ready, @consumers, clock_timestamp())
ON CONFLICT (queue) DO UPDATE
  SET ready = excluded.ready, consumers = excluded.consumers, sampled_at = excluded.sampled_at`

const forgetSample = `DELETE FROM {queue_samples} WHERE queue = @queue`

func (s Sampler) sample(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Every)
	defer cancel()
	depths := map[string]message.Depth{}
	for _, queue := range s.Queues {
		depth, err := s.Broker.Depth(ctx, queue)
		if errors.Is(err, message.ErrNoQueue) {
			continue
		}
		if err != nil {
			return err
		}
		depths[queue] = depth
	}
	return s.DB.InTx(ctx, func(tx once.Tx) error {
		for _, queue := range s.Queues {
			depth, seen := depths[queue]
			if !seen { // It is gone, and so is its sample: see [Table.Takes].
				if _, err := s.Table.in(forgetSample).Exec(ctx, tx, once.Args{"queue": queue}); err != nil {
					return err
				}
				continue
			}
			if _, err := s.Table.in(writeSample).Exec(ctx, tx, once.Args{"queue": queue, "ready": depth.Ready, "consumers": depth.Consumers}); err != nil {
				return err
			}
		}
		return nil
	})
}
