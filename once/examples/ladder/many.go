package ladder

import (
	"context"

	"payonce/once"
)

// Parts is into how many parts the aggregates fall. It stays as it is while relays run:
// they must agree on whose an aggregate is.
const Parts = 8

// Many is Ordered for several relays. Each owns parts, by advisory locks of a session of
// its own: they end with the connection, so what a dead relay owned is free when the server
// has noticed that.
//
// A relay whose connection broke may still be publishing while another has its parts.
// Then an event comes twice, or an old copy comes late. Both are what consumers have
// their inbox for; an order that holds at the consumer needs a version in the event.
type Many struct {
	Ordered
	Most int // parts that this relay takes, at most

	session once.Session
	own     []int64
}

// firstOfMine is first, of the parts that are mine. The hash is the server's, so that all
// relays agree; 2^31 is added because it may be negative.
const firstOfMine = `
SELECT no, aggregate, body
  FROM (SELECT DISTINCT ON (aggregate) no, aggregate, body
          FROM events
         WHERE published_at IS NULL AND aggregate <> ALL ($1::text[]) AND (hashtext(aggregate)::bigint + 2147483648) % $3::bigint = ANY ($2::bigint[])
         ORDER BY aggregate, no) AS each
 ORDER BY no LIMIT 100`

// Turn takes parts that are free, and publishes one batch of its own.
func (r *Many) Turn(ctx context.Context) (published int, err error) {
	if err := r.take(ctx); err != nil {
		r.Leave() // what broke has given the locks back, or does so now
		return 0, err
	}
	return r.batch(ctx, firstOfMine, once.Array(r.holding()), once.Array(r.own), Parts)
}

const locks = 7401 // one number for this program's relays

// take asks for each part that it does not own, until it has the most it may have. It also
// shows that the session lives: each turn begins with it.
func (r *Many) take(ctx context.Context) (err error) {
	if r.session == nil {
		if r.session, err = r.DB.Session(ctx); err != nil {
			return err
		}
	}
	if len(r.own) >= r.Most {
		_, err := r.session.Do(ctx, `SELECT 1`)
		return err
	}
	rows, err := r.session.Read(ctx, `
		SELECT part FROM (SELECT part FROM generate_series(0, $1::bigint - 1) AS part WHERE part <> ALL ($2::bigint[]) OFFSET 0) AS free
		 WHERE pg_try_advisory_lock($3::integer, part::integer) LIMIT $4::bigint`,
		Parts, once.Array(r.own), locks, r.Most-len(r.own))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var part int64
		if err := rows.Scan(&part); err != nil {
			return err
		}
		r.own = append(r.own, part)
	}
	return rows.Err()
}

// Owns says how many parts this relay has.
func (r *Many) Owns() int { return len(r.own) }

// Leave gives all parts back.
func (r *Many) Leave() {
	if r.session != nil {
		_ = r.session.Close()
	}
	r.session, r.own = nil, nil
}
