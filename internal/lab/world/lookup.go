package world

import (
	"context"
	"fmt"
	"time"
)

// filter selects charges; empty fields select all.
type filter struct {
	id, reference, key string
	from               *time.Time
	after              string // exclusive: the id of the last charge already seen
	limit              int
}

// listSQL is sent with its values, unprepared, so that Postgres plans it for
// the filters that are really set and takes the matching index.
const listSQL = `
SELECT id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at
FROM charges
WHERE ($1 = '' OR id = $1) AND ($2 = '' OR reference = $2)
  AND ($3 = '' OR idempotency_key = $3) AND id > $4
  AND ($6::timestamptz IS NULL OR created_at >= $6)
  AND ($1 <> '' OR $2 <> '' OR $3 <> '' OR ` + ofFirstAccount + `)
ORDER BY id
LIMIT $5`

// list returns charges in the order of their ids, which is the order in which
// they were begun: oldest first.
func (b *books) list(ctx context.Context, f filter) ([]Charge, error) {
	rows, err := b.db.QueryContext(ctx, listSQL, f.id, f.reference, f.key, f.after, f.limit, f.from)
	if err != nil {
		return nil, fmt.Errorf("world: list charges: %w", err)
	}
	defer rows.Close()
	charges := []Charge{}
	for rows.Next() {
		var c Charge
		if err := rows.Scan(&c.ID, &c.Reference, &c.IdempotencyKey, &c.AmountMinor,
			&c.Currency, &c.Status, &c.DeclineCode, &c.at); err != nil {
			return nil, fmt.Errorf("world: read a charge: %w", err)
		}
		c.CreatedAt = stamp(c.at)
		charges = append(charges, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("world: list charges: %w", err)
	}
	return charges, nil
}

// Balance is what the provider holds for the shop in one currency.
type Balance struct {
	Currency    string `json:"currency"`
	AmountMinor int64  `json:"amount_minor"`
	Charges     int64  `json:"charges"`
}

const balanceSQL = `
SELECT currency, sum(amount_minor)::bigint, count(*) FILTER (WHERE amount_minor > 0)
FROM (
    SELECT currency, amount_minor FROM charges WHERE status = 'succeeded' AND ` + ofFirstAccount + `
    UNION ALL
    SELECT currency, -amount_minor FROM refunds WHERE status = 'succeeded' AND ` + ofFirstAccount + `
) AS moved
GROUP BY currency ORDER BY currency`

func (b *books) balance(ctx context.Context) ([]Balance, error) {
	rows, err := b.db.QueryContext(ctx, balanceSQL)
	if err != nil {
		return nil, fmt.Errorf("world: balance: %w", err)
	}
	defer rows.Close()
	balances := []Balance{}
	for rows.Next() {
		var one Balance
		if err := rows.Scan(&one.Currency, &one.AmountMinor, &one.Charges); err != nil {
			return nil, fmt.Errorf("world: read a balance: %w", err)
		}
		balances = append(balances, one)
	}
	return balances, rows.Err()
}
