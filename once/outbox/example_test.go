package outbox_test

import (
	"context"
	"fmt"

	"payonce/once"
	"payonce/once/outbox"
)

// The event stands in the transaction of the change that it speaks of: both
// commit or neither does.
func ExampleTable_Append() {
	ship := func(ctx context.Context, db once.DB, parcel string) error {
		return db.InTx(ctx, func(tx once.Tx) error {
			var version int64
			rows, err := tx.Query(ctx, `
				UPDATE parcels SET status = 'shipped', version = version + 1
				WHERE id = $1 AND status = 'packed' RETURNING version`, parcel)
			if found, err := once.One(rows, err, &version); err != nil || !found {
				return err
			}
			e, err := outbox.New("", parcel, "parcel", parcel, "parcel.shipped", map[string]any{"schema": 1, "parcel": parcel})
			if err != nil {
				return err
			}
			e.AggregateVersion = version
			return table.Append(ctx, tx, e)
		})
	}
	_ = ship
}

// Where a round trip counts, the event is written by the very statement that
// makes it true: where the UPDATE changes no row, there is no event.
func ExampleTable_Fold() {
	ship := once.Named(`WITH shipped AS (
  UPDATE parcels SET status = 'shipped', version = version + 1
  WHERE id = @parcel AND status = 'packed' RETURNING version
) ` + table.Fold("shipped", "shipped.version"))
	e, err := outbox.New("", "parcel 7", "parcel", "parcel 7", "parcel.shipped", map[string]any{"schema": 1, "parcel": "parcel 7"})
	if err != nil {
		panic(err)
	}
	values := ship.Values(e.Args().With(once.Args{"parcel": "parcel 7"}))
	fmt.Println(len(values), "parameters, of which the first is the parcel:", values[0] == any("parcel 7"))
	// Output: 11 parameters, of which the first is the parcel: true
}
