package rows

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

const (
	// payments is how many of the merchant's newest payments are looked at.
	payments = 5
	// most is how many rows of one table are shown.
	most = 50
)

// Table is one table's part of a story.
type Table struct {
	Name string
	// Pattern is the pattern the table belongs to, or "shop".
	Pattern string
	// Keeps says what the table is for.
	Keeps string
	// Written says who writes a row and in which transaction.
	Written string
	Columns []string
	// Rows are the values as text, newest first; nil stands for NULL.
	Rows [][]*string
}

// Scope is whose rows are read.
type Scope struct {
	Merchant uuid.UUID
	// Payment narrows it to one payment; otherwise it is the newest ones.
	Payment uuid.NullUUID
}

// mine is the frame of every query: it can only see the merchant's payments.
const mine = `
WITH mine AS (
  SELECT id, order_id, merchant_id, created_at FROM payments
   WHERE merchant_id = $1::uuid AND ($2::uuid IS NULL OR id = $2::uuid)
   ORDER BY id DESC LIMIT $3::bigint
), back AS (
  SELECT r.id, r.saga_id FROM refunds r JOIN mine ON mine.id = r.payment_id
), events AS (
  SELECT o.* FROM outbox_events o
   WHERE o.aggregate_id IN (SELECT id FROM mine UNION SELECT order_id FROM mine UNION SELECT id FROM back UNION SELECT saga_id FROM back)
     AND o.merchant_id = $1::uuid
)
SELECT coalesce(json_agg(shown.v), '[]') FROM (
  SELECT json_build_array(%s) AS v %s LIMIT $4::bigint) shown`

func (d definition) query() string {
	values := make([]string, 0, len(d.columns))
	for _, c := range d.columns {
		values = append(values, "("+c.value+")::text")
	}
	return fmt.Sprintf(mine, strings.Join(values, ", "), d.from)
}

// Read returns every table with its rows, in the order in which a payment meets
// them.
func Read(ctx context.Context, db *postgres.DB, s Scope) ([]Table, error) {
	all := make([]Table, 0, len(definitions))
	for _, d := range definitions {
		t := Table{Name: d.name, Pattern: d.pattern, Keeps: d.keeps, Written: d.written}
		for _, c := range d.columns {
			t.Columns = append(t.Columns, c.name)
		}
		var raw []byte
		if err := db.Get(ctx, &raw, d.query(), s.Merchant, s.Payment, payments, most); err != nil {
			return nil, fmt.Errorf("rows of %s: %w", d.name, err)
		}
		if err := json.Unmarshal(raw, &t.Rows); err != nil {
			return nil, fmt.Errorf("rows of %s: %w", d.name, err)
		}
		all = append(all, t)
	}
	return all, nil
}
