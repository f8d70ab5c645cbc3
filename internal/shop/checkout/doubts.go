package checkout

import (
	"context"
	"sync/atomic"
)

// Doubts is what the latest sweep saw, and what all of this process's have done.
type Doubts struct {
	InDoubt       int64 // attempts whose outcome nobody here knows
	OldestSeconds int64 // the age of the oldest of them
	Recovered     int64 // attempts that sweeps have finished
}

type doubts struct{ inDoubt, oldest, recovered atomic.Int64 }

// Doubts tells how much is in doubt, as of the latest sweep.
func (s *Service) Doubts() Doubts {
	return Doubts{InDoubt: s.doubts.inDoubt.Load(), OldestSeconds: s.doubts.oldest.Load(), Recovered: s.doubts.recovered.Load()}
}

const doubtsSQL = `
SELECT count(*) AS n, coalesce(floor(extract(epoch FROM clock_timestamp() - min(sent_at))), 0)::bigint AS oldest
  FROM payment_attempts WHERE status IN ('sending', 'in_doubt') AND (status = 'in_doubt' OR lease_until <= clock_timestamp())`

// counted is what follows a sweep.
func (s *Service) counted(ctx context.Context, recovered int) error {
	s.doubts.recovered.Add(int64(recovered))
	return s.sample(ctx)
}

func (s *Service) sample(ctx context.Context) error {
	var now struct {
		N      int64 `db:"n"`
		Oldest int64 `db:"oldest"`
	}
	if err := s.DB.Get(ctx, &now, doubtsSQL); err != nil {
		return err
	}
	s.doubts.inDoubt.Store(now.N)
	s.doubts.oldest.Store(now.Oldest)
	return nil
}
