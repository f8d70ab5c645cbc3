package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// A handler writes its effect through tx, which commits it together with the
// inbox row; it says which errors no retry cures, and knows nothing of
// duplicates.
func ExampleHandler() {
	var handler inbox.Handler = func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		for _, m := range batch {
			var points struct{ Schema, Points int }
			if err := json.Unmarshal(m.Payload, &points); err != nil {
				return retry.Permanent(err)
			}
			if _, err := tx.Exec(ctx, `UPDATE accounts SET points = points + $2 WHERE id = $1`, m.AggregateID, points.Points); err != nil {
				return err
			}
		}
		return nil
	}

	// A payload that is no JSON is refused before the database is touched.
	err := handler(context.Background(), nil, []inbox.Message{{Payload: []byte("{")}})
	fmt.Println(retry.ClassOf(err))
	// Output: permanent
}
