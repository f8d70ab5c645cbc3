package telemetry

import (
	"fmt"
	"runtime/debug"
)

// Caught makes a panic the error of the work that panicked, with the stack in
// its text: defer Caught(&err). It is for units of work that a loop takes up
// again under a lease; what they had committed stays, and what they had not is
// rolled back.
func Caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panicked: %v\n%s", p, debug.Stack())
	}
}
