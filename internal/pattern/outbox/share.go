package outbox

import (
	"context"
	"slices"

	"github.com/lib/pq"
)

// Partitions is how many shares the events are dealt into, so that several
// relays can each own some. All events of an aggregate are in one. The number is
// written into every row: another one needs an empty outbox.
const Partitions = partitions

const partitions = 16

// Advisory locks live in one database, so relays of different databases do not
// meet. The numbers spell "payonce" and "payo"; a lock by two numbers and one by
// a single number never collide. [Config].Realm is added to both.
const (
	presenceKey    = 0x7061796f6e6365 // shared: one holder for each living relay
	partitionClass = 0x7061796f       // with the partition's number: its owner
)

// fairShare is how many partitions one of so many living relays may own at
// most: all of them are owned by somebody, and nobody owns two more than he must.
func fairShare(living int) int {
	if living < 1 {
		return partitions
	}
	return (partitions + living - 1) / living
}

// The living are the holders of one shared lock. The database forgets a holder
// and his partitions in the same moment, so neither a table nor a clock can say
// of a relay that it lives while its partitions are free, or the other way
// round.
const census = `
SELECT count(*) FILTER (WHERE objsubid = 1) AS living,
  coalesce(bool_or(objsubid = 1 AND pid = pg_backend_pid()), false) AS here,
  coalesce(array_agg(objid::bigint) FILTER (WHERE objsubid = 2 AND pid = pg_backend_pid()), '{}') AS mine
FROM pg_locks
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint << 32) + objid::bigint = $1)
    OR (objsubid = 2 AND classid::bigint = $2))`

// balance brings what this relay owns to its fair share: the surplus is asked
// back from the engine, what is missing is taken where it is free. Nobody is
// ever robbed: a partition changes hands when its owner lets go of it or dies.
func (s *session) balance(ctx context.Context) error {
	var (
		living int
		here   bool
		held   []int64
	)
	if err := s.ask(ctx, []any{&living, &here, pq.Array(&held)}, census, int64(presenceKey)+int64(s.realm), partitionClass+s.realm); err != nil {
		return err
	}
	if !here || !s.agrees(held) {
		return errPlaceGone
	}
	if s.waited > int(s.patience/s.look()) && slices.Contains(s.giving[:], true) {
		return errNotLetGo // Ending the session lets go of everything.
	}
	keeps := 0
	for p := range s.mine {
		if s.mine[p] && !s.giving[p] {
			keeps++
		}
	}
	switch surplus := keeps - fairShare(living); {
	case surplus > 0:
		s.giveBack(surplus)
	case surplus < 0:
		return s.takeFree(ctx, -surplus)
	}
	return nil
}

// agrees says whether the database knows the same of us as we do.
func (s *session) agrees(held []int64) bool {
	var known [partitions]bool
	for _, p := range held {
		if p < 0 || p >= partitions {
			return false
		}
		known[p] = true
	}
	return known == s.mine
}

// giveBack asks the engine to let go of n partitions. Until it has, which is
// when the last of their events that left is confirmed and marked, they stay
// locked: so a hand-over between relays that are well makes no copies and keeps
// the order.
func (s *session) giveBack(n int) {
	if !slices.Contains(s.giving[:], true) {
		s.waited = 0
	}
	for p := partitions - 1; p >= 0 && n > 0; p-- {
		if s.mine[p] && !s.giving[p] {
			s.giving[p] = true
			s.assignment.orders <- order{partition: p}
			n--
		}
	}
}

// The LIMIT stops the scan, and with it the taking of locks.
const takePartitions = `
SELECT coalesce(array_agg(p), '{}')
FROM (SELECT p FROM unnest($2::int[]) AS p WHERE pg_try_advisory_lock($1::int, p) LIMIT $3) AS taken`

func (s *session) takeFree(ctx context.Context, n int) error {
	var wanted, taken []int64
	for p := range s.mine {
		if !s.mine[p] {
			wanted = append(wanted, int64(p))
		}
	}
	if err := s.ask(ctx, []any{pq.Array(&taken)}, takePartitions, partitionClass+s.realm, pq.Array(wanted), n); err != nil {
		return err
	}
	for _, p := range taken {
		s.mine[p] = true
		s.assignment.orders <- order{partition: int(p), take: true}
	}
	if len(taken) > 0 {
		s.log.Info("this relay owns more partitions now", "taken", taken)
	}
	return nil
}

// release unlocks a partition that the engine has let go of.
func (s *session) release(ctx context.Context, p int) error {
	var held bool
	if err := s.ask(ctx, []any{&held}, `SELECT pg_advisory_unlock($1::int, $2::int)`, partitionClass+s.realm, p); err != nil {
		return err
	}
	if !held {
		return errLockMissing
	}
	s.mine[p], s.giving[p] = false, false
	s.log.Info("this relay has let go of a partition", "partition", p)
	return nil
}
