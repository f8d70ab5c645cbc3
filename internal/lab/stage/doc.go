// Package stage runs the whole house for one test: the real programs as real
// processes, on a database and a virtual host of the test's own, with a real
// provider and mailbox beside them. A test clicks over HTTP, kills by pid, and
// counts what the outside world saw.
//
// How the programs are built, and by which variables that is changed, says
// package program.
package stage
