package outbox_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/pattern/outbox"
	"payonce/internal/platform/postgres"
	"payonce/once"
)

// The event stands in the transaction of the change that it speaks of: both
// commit or neither does.
func ExampleAppend() {
	ship := func(ctx context.Context, db *postgres.DB, parcel uuid.UUID) error {
		return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
			var version int64
			err := tx.Get(ctx, &version, `
				UPDATE parcels SET status = 'shipped', version = version + 1
				WHERE id = $1 AND status = 'packed' RETURNING version`, parcel)
			if err != nil {
				return err
			}
			e, err := outbox.New(uuid.Nil, parcel, "parcel", parcel, "parcel.shipped", map[string]any{"schema": 1, "parcel_id": parcel})
			if err != nil {
				return err
			}
			e.AggregateVersion = version
			return outbox.Append(ctx, tx, e)
		})
	}
	_ = ship
}

// Where a round trip counts, the event is written by the very statement that
// makes it true: where the UPDATE changes no row, there is no event.
func ExampleFold() {
	ship := once.Named(`WITH shipped AS (
  UPDATE parcels SET status = 'shipped', version = version + 1
  WHERE id = @parcel AND status = 'packed' RETURNING version
) ` + outbox.Fold("shipped", "shipped.version"))
	parcel := uuid.New()
	e, err := outbox.New(uuid.Nil, parcel, "parcel", parcel, "parcel.shipped", map[string]any{"schema": 1, "parcel_id": parcel})
	if err != nil {
		panic(err)
	}
	values := ship.Values(e.Args(context.Background()).With(once.Args{"parcel": parcel}))
	fmt.Println(len(values), "parameters, of which the first is the parcel:", values[0] == any(parcel))
	// Output: 10 parameters, of which the first is the parcel: true
}
