package outbox

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"payonce/once"
)

// Partitions is how many shares the events are dealt into, so that several
// relays can each own some. All events of an aggregate are in one. The number is
// written into every row: another one needs an empty outbox.
const Partitions = partitions

const partitions = 16

// fairShare is how many partitions one of so many living relays may own at
// most: each of them is owned, and no relay owns two more than it must.
func fairShare(living int) int {
	if living < 1 {
		return partitions
	}
	return (partitions + living - 1) / living
}

// The living are the holders of one shared lock. The database forgets a holder
// and its partitions in the same moment, so neither a table nor a clock can say
// of a relay that it lives while its partitions are free, or the other way
// round.
const census = `
SELECT count(*) FILTER (WHERE objsubid = 1) AS living,
  coalesce(bool_or(objsubid = 1 AND pid = pg_backend_pid()), false) AS here,
  coalesce(string_agg(objid::text, ' ') FILTER (WHERE objsubid = 2 AND pid = pg_backend_pid()), '') AS mine
FROM pg_locks
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint << 32) + objid::bigint = $1)
    OR (objsubid = 2 AND classid::bigint = $2))`

// balance brings what this relay owns to its fair share: the surplus is asked
// back from the engine, what is missing is taken where it is free. None is
// taken from its owner: a partition changes hands when its owner lets go of it or dies.
func (s *session) balance(ctx context.Context) error {
	var (
		living int
		here   bool
		held   string
	)
	if err := s.ask(ctx, []any{&living, &here, &held}, census, s.names.Presence, int64(s.names.Partitions)); err != nil {
		return err
	}
	if !here || !s.agrees(numbers(held)) {
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
func (s *session) agrees(held []int) bool {
	var known [partitions]bool
	for _, p := range held {
		if p < 0 || p >= partitions {
			return false
		}
		known[p] = true
	}
	return known == s.mine
}

// numbers reads what string_agg wrote.
func numbers(text string) (list []int) {
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			n = -1 // no partition
		}
		list = append(list, n)
	}
	return list
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
SELECT coalesce(string_agg(p::text, ' '), '')
FROM (SELECT p FROM unnest(CAST($2 AS int[])) AS p WHERE pg_try_advisory_lock($1::int, p) LIMIT $3) AS taken`

func (s *session) takeFree(ctx context.Context, n int) error {
	var wanted []int
	var taken string
	for p := range s.mine {
		if !s.mine[p] {
			wanted = append(wanted, p)
		}
	}
	if err := s.ask(ctx, []any{&taken}, takePartitions, s.names.Partitions, once.Array(wanted), n); err != nil {
		return err
	}
	for _, p := range numbers(taken) {
		s.mine[p] = true
		s.assignment.orders <- order{partition: p, take: true}
	}
	if taken != "" {
		s.log.Info("this relay owns more partitions now", "taken", taken)
	}
	return nil
}

// release unlocks a partition that the engine has let go of.
func (s *session) release(ctx context.Context, p int) error {
	var held bool
	if err := s.ask(ctx, []any{&held}, `SELECT pg_advisory_unlock($1::int, $2::int)`, s.names.Partitions, p); err != nil {
		return err
	}
	if !held {
		return errLockMissing
	}
	s.mine[p], s.giving[p] = false, false
	s.log.Info("this relay has let go of a partition", "partition", p)
	return nil
}
