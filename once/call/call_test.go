package call_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once/call"
	"payonce/once/call/calltest"
	"payonce/once/oncetest/dbtest"
)

func TestTheProtocol(t *testing.T) {
	t.Parallel()
	for driver, over := range dbtest.Over {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			calltest.Run(t, over(t, "shipping"), "shipping")
		})
	}
}

func TestARunnerNeedsAStoreAndAnOutside(t *testing.T) {
	t.Parallel()
	_, err := call.New(call.Config[call.Record, call.Outcome]{})
	require.ErrorContains(t, err, "needs a store")
}
