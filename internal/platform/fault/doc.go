// Package fault holds the named crash points of the lab.
//
// A line like
//
//	fault.Point("capture.after_charge", merchant, payment)
//
// stands wherever the design says "what if the process dies here". In a default
// build Point is an empty function that the compiler inlines to nothing, and a
// test inspects the production binaries for any trace of this package. With the
// build tag lab a point can be armed by name, scope, hit and action.
package fault
