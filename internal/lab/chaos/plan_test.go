package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/chaos"
)

var (
	points  = []string{"capture.after_charge", "relay.after_publish", "mailer.after_lease", "webhook.before_2xx"}
	actions = []string{"kill", "stop", "panic", "error", "delay"}
)

func TestThePlanIsAPureFunctionOfItsSeed(t *testing.T) {
	t.Parallel()
	one := chaos.Plan(7, 10*time.Minute, points, actions)
	require.Equal(t, one, chaos.Plan(7, 10*time.Minute, []string{points[2], points[0], points[3], points[1]}, actions), "the order of the points does not matter")
	require.NotEqual(t, one, chaos.Plan(8, 10*time.Minute, points, actions))
}

func TestEveryPointIsArmedWithEveryActionOnceAndWithinTheCampaign(t *testing.T) {
	t.Parallel()
	armed := map[string]int{}
	last := time.Duration(0)
	for _, step := range chaos.Plan(1, time.Minute, points, actions) {
		require.GreaterOrEqual(t, step.At, last, "the plan is in order")
		require.LessOrEqual(t, step.At, time.Minute)
		last = step.At
		if step.Kind == chaos.Arm {
			armed[step.Point+":"+step.Action]++
		}
	}
	require.Len(t, armed, len(points)*len(actions))
	for pair, n := range armed {
		require.Equal(t, 1, n, pair)
	}
}

func TestTenMinutesPlanTwoHundredKillsAndFiftyInterruptionsWithFourKillsOfEachService(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		crashes, interruptions, kills := map[string]int{}, 0, 0
		for _, step := range chaos.Plan(seed, 10*time.Minute, points, actions) {
			if step.Kind == chaos.Crash {
				crashes[step.Target]++
			}
			if step.Kind == chaos.Kill || step.Kind == chaos.Arm {
				kills++
			}
			if step.Interrupts() {
				interruptions++
			}
		}
		require.GreaterOrEqual(t, crashes["postgres"], 4)
		require.GreaterOrEqual(t, crashes["rabbitmq"], 4)
		require.GreaterOrEqual(t, interruptions, 55, "a few find their link broken already and are left out")
		require.GreaterOrEqual(t, kills, 210, "a few find their process dead already")
	}
}
