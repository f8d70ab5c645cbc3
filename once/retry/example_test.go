package retry_test

import (
	"errors"
	"fmt"

	"payonce/once/retry"
)

// An error is classed where it is known what it means, and keeps its class
// through any number of wrappings.
func ExamplePermanent() {
	unknown := retry.Permanent(errors.New("schema 9 is unknown"))
	fmt.Println(retry.ClassOf(fmt.Errorf("apply order.placed: %w", unknown)))
	fmt.Println(retry.ClassOf(errors.New("connection reset")))
	// Output:
	// permanent
	// transient
}

// The longest way back is what every dedupe window must exceed.
func ExampleSchedule_Whole() {
	fmt.Println(retry.Production.Whole(), retry.Demo.Whole())
	// Output: 12m36s 19.2s
}
