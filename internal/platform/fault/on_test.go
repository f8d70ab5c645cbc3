//go:build lab

package fault

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// These tests share the process's arms, so they do not run in parallel.

func deaths(t *testing.T) *int {
	t.Helper()
	n := 0
	old := die
	die = func() { n++ }
	t.Cleanup(func() { die = old; Reset() })
	return &n
}

func TestAnArmedPointFiresOnceAtItsNthHitWithinItsScope(t *testing.T) {
	n := deaths(t)
	mine, other := uuid.New(), uuid.New()
	require.NoError(t, Add(Arm{Point: "capture.after_charge", Action: Kill, Scope: mine, Nth: 2}))
	Point("capture.after_charge", other)
	Point("capture.before_charge", mine)
	Point("capture.after_charge", uuid.New(), mine)
	require.Zero(t, *n)
	Point("capture.after_charge", uuid.New(), mine)
	require.Equal(t, 1, *n)
	Point("capture.after_charge", mine)
	Point("capture.after_charge", mine)
	require.Equal(t, 1, *n, "an arm fires once")
}

func TestArmsFromTheEnvironment(t *testing.T) {
	n := deaths(t)
	require.NoError(t, FromEnv(""))
	id := uuid.New()
	require.NoError(t, FromEnv("capture.after_claim:kill, capture.before_charge:kill:1:"+id.String()))
	Point("capture.after_claim")
	Point("capture.before_charge")
	require.Equal(t, 1, *n)
	Point("capture.before_charge", id)
	require.Equal(t, 2, *n)
	for _, bad := range []string{"nowhere:kill", "capture.after_claim:explode", "capture.after_claim:kill:x", "capture.after_claim:kill:1:x"} {
		require.Error(t, FromEnv(bad), bad)
	}
}
