//go:build lab

package fault

import (
	"testing"
	"time"

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
	_ = Point("capture.after_charge", other)
	_ = Point("capture.before_charge", mine)
	_ = Point("capture.after_charge", uuid.New(), mine)
	require.Zero(t, *n)
	_ = Point("capture.after_charge", uuid.New(), mine)
	require.Equal(t, 1, *n)
	_ = Point("capture.after_charge", mine)
	_ = Point("capture.after_charge", mine)
	require.Equal(t, 1, *n, "an arm fires once")
}

func TestArmsFromTheEnvironment(t *testing.T) {
	n := deaths(t)
	require.NoError(t, FromEnv(""))
	id := uuid.New()
	require.NoError(t, FromEnv("capture.after_claim:kill, capture.before_charge:kill:1:"+id.String()))
	_ = Point("capture.after_claim")
	_ = Point("capture.before_charge")
	require.Equal(t, 1, *n)
	_ = Point("capture.before_charge", id)
	require.Equal(t, 2, *n)
	for _, bad := range []string{"nowhere:kill", "capture.after_claim:explode", "capture.after_claim:kill:x", "capture.after_claim:kill:1:x"} {
		require.Error(t, FromEnv(bad), bad)
	}
}

func TestEachActionDoesWhatItSays(t *testing.T) {
	n := deaths(t)
	slept := time.Duration(0)
	old := doze
	doze = func(d time.Duration) { slept = d }
	t.Cleanup(func() { doze = old })
	arm := func(a Action, d time.Duration) {
		require.NoError(t, Add(Arm{Point: "capture.after_claim", Action: a, For: d}))
	}
	arm(Kill, 0)
	require.NoError(t, Point("capture.after_claim"))
	require.Equal(t, 1, *n)
	arm(Stop, 0)
	require.NoError(t, Point("capture.after_claim"))
	require.Equal(t, stopFor, slept)
	arm(Panic, 0)
	require.Panics(t, func() { _ = Point("capture.after_claim") })
	arm(Error, 0)
	require.ErrorIs(t, Point("capture.after_claim"), ErrInjected)
	arm(Delay, time.Millisecond)
	require.NoError(t, Point("capture.after_claim"))
	require.NoError(t, Point("capture.after_claim"), "each fires once")
}
