// Package stage runs the whole house for one test: the real programs as real
// processes, on a database and a virtual host of the test's own, with a real
// provider and mailbox beside them. A test clicks over HTTP, kills by pid, and
// counts what the outside world saw.
//
// The programs are built once for each test binary, with the tag lab, from the
// working tree; PAYONCE_STAGE_BIN names a folder where they are already built,
// and PAYONCE_STAGE_OVERLAY a `go build -overlay` file, with which a planted
// bug gets onto the stage without touching the tree.
package stage
