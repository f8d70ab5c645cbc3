// Package fault holds the named crash points of the lab.
//
// A line like
//
//	if err := fault.Point("capture.after_charge", merchant, payment); err != nil {
//		return err
//	}
//
// stands wherever the design says "what if the process dies here". In a default
// build Point returns nil and the compiler inlines it to nothing; a test inspects
// the production binaries for any trace of this package. With the build tag lab a
// point can be armed by name, scope, hit and action: kill, stop (SIGSTOP, and
// SIGCONT later), panic, error, delay.
//
// # What must follow
//
// Every action at every point ends in convergence. A kill needs no handling:
// what is durable is taken up again. An error is the failure of the step that
// follows the point, and takes the way that such a failure takes. A panic is
// caught where a unit of work ends: a request is answered with 500 and a
// problem document, a message of a consumer, an attempt of the sweeper and a
// batch of the mailer fail as by an error. A panic anywhere else, as in the
// relay, which does only one thing, ends the process like a kill, and its
// supervisor starts it again.
//
// # Which process
//
// Add and FromEnv arm this process. A component that knows more than one is a
// Source, asked at each hit; this package knows no database.
package fault
