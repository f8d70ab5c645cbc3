package chaos

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func scanned(t *testing.T, lines string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.log")
	require.NoError(t, os.WriteFile(path, []byte(lines), 0o600))
	s := newScanner(map[string]string{"PAYONCE_SECRET": "a-secret-of-the-house"})
	require.NoError(t, s.log("api-1", path))
	return s.findings
}

func TestALogMayHoldIdsTimesAndInjectedPanics(t *testing.T) {
	t.Parallel()
	require.Empty(t, scanned(t, `{"time":"2026-11-23T20:15:42.317123456Z","trace_id":"41111111111111114111111111111111","span_id":"4111111111111111"}
{"payment":"pay_41111111111111110000000000000000","nanos":1764161742317123456}
panic: capture.after_charge: injected by an armed crash point
{"level":"WARN","msg":"crash point fires","point":"capture.after_charge","action":"panic"}
{"level":"ERROR","msg":"panic","cause":"capture.after_charge: injected by an armed crash point"}
`))
}

func TestCardNumbersSecretsTokensAndPanicsAreFoundInALog(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`{"card":"4111111111111111"}`, `paid with 5500005555555559.` + "\n", `secret a-secret-of-the-house!`,
		`{"card_token":"tok_ok"}`, `Authorization: Bearer sk_test_0123456789abcdef`,
		"panic: runtime error: index out of range", `{"level":"ERROR","msg":"panic","cause":"runtime error"}`, "fatal error: concurrent map writes", "WARNING: DATA RACE",
	} {
		require.Len(t, scanned(t, "an innocent line\n"+line), 1, line)
	}
}

func TestAFiringCrashPointIsReadFromTheLogAndNothingElseIs(t *testing.T) {
	t.Parallel()
	a, ok := firing(`{"level":"WARN","msg":"crash point fires","point":"relay.after_mark","action":"kill"}` + "\n")
	require.True(t, ok)
	require.Equal(t, arming{Point: "relay.after_mark", Action: "kill"}, a)
	for _, line := range []string{`{"msg":"a crash point fires"}`, `crash point fires`, `{"msg":"serving"}`} {
		_, ok := firing(line)
		require.False(t, ok, line)
	}
}

func TestAReportFailsForEachReasonThereIs(t *testing.T) {
	t.Parallel()
	whole := func() *Report {
		r := &Report{Captures: 1, Points: []string{"p"}, Actions: []string{"kill"}, Fired: map[string]map[string]int{"p": {"kill": 1}}}
		r.invariant("one_charge", "safety", "edge/audit", nil)
		return r
	}
	passed := whole()
	passed.judge(30e9)
	require.True(t, passed.Passed(), "%v", passed.Failures)
	require.Contains(t, passed.Markdown(), "Everything held")
	for name, spoil := range map[string]func(*Report){
		"a broken invariant": func(r *Report) { r.invariant("one_mail", "liveness", "edge/audit", []string{"x"}) },
		"slow":               func(r *Report) { r.Convergence = 31e9 },
		"unanswered":         func(r *Report) { r.Unanswered = 1 },
		"undecided":          func(r *Report) { r.Undecided = 1 },
		"nothing captured":   func(r *Report) { r.Captures = 0 },
		"a point not hit":    func(r *Report) { r.Points = append(r.Points, "q") },
		"an action not hit":  func(r *Report) { r.Actions = append(r.Actions, "stop") },
		"an error of its own": func(r *Report) {
			r.ByStatus = map[string]int{"500 internal-error": 1}
			r.explain()
		},
		"a step left out": func(r *Report) { r.NotCarriedOut = []string{"kill"} },
	} {
		r := whole()
		spoil(r)
		r.judge(30e9)
		require.Len(t, r.Failures, 1, name)
		require.Contains(t, r.Markdown(), "FAILED", name)
	}
}
