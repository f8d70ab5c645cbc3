package saga_test

import (
	"context"
	"fmt"
	"time"

	"payonce/once"
	"payonce/once/saga"
)

// A story is declared: who is told what, what takes it back, and where there is
// no way back.
func ExampleDefinition() {
	trip := saga.Definition{
		Name: "trip", Start: "trip.asked",
		Steps: []saga.Step{
			{Name: "seat", Do: "seat.take", Undo: "seat.free", Deadline: time.Minute},
			{Name: "money", Do: "money.send", Pivot: true, Deadline: time.Minute},
			{Name: "voucher", Do: "voucher.print", Deadline: time.Minute},
		},
		Ended: func(_ context.Context, _ once.Tx, s saga.Saga) error {
			fmt.Println(s.State)
			return nil
		},
	}
	fmt.Println(trip.Check())
	fmt.Println(len(trip.Types()), "events are read")

	trip.Steps[2].Undo = "voucher.tear"
	fmt.Println(trip.Check())
	// Output:
	// <nil>
	// 9 events are read
	// saga: a definition that cannot work: step "voucher" comes after the pivot: it only goes forward
}
