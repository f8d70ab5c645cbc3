package devstack_test

import (
	"testing"

	"payonce/internal/lab/devstack"
)

// An empty server in the standby's place would take over, and with it everything that
// was acknowledged would be gone.
func TestWhereNothingCouldBeCopiedNoStandbyStarts(t *testing.T) {
	t.Parallel()
	stack := start(t, devstack.Options{Dir: folder(t), SkipRabbitMQ: true})
	if err := stack.Postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	standby, err := stack.Standby(t.Context())
	if err == nil || standby.Pid() != 0 {
		t.Errorf("a copy of what is not there: %v, and a server runs as %d", err, standby.Pid())
	}
	if err := standby.Start(t.Context()); err == nil || standby.Pid() != 0 {
		t.Errorf("started without a copy: %v, as %d", err, standby.Pid())
	}
}
