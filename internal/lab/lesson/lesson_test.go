package lesson_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/lesson"
	"payonce/internal/lab/stage"
)

// shortLease brings the take-over of a dead holder's attempt within a test's
// patience; the windows are still in proportion.
var shortLease = []string{"PAYONCE_LEASE=3s", "PAYONCE_FINALISE=2s", "PAYONCE_PROVIDER_DEADLINE=1s", "PAYONCE_PROVIDER_CONNECT=500ms", "PAYONCE_SWEEP=500ms"}

// house is a stage whose processes come back when a lesson has killed them.
func house(t *testing.T) *stage.Stage {
	t.Helper()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	for _, p := range []*stage.Program{s.API, s.Relay, s.Worker} {
		p.Keep()
	}
	return s
}

// send asks until the api answers: a lesson may just have killed it.
func send(t *testing.T, b *stage.Buyer, method, path string, body any) (got stage.Response) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		got, err = b.Do(t.Context(), method, path, "", body)
		return err == nil && got.Status != http.StatusServiceUnavailable
	}, 30*time.Second, 50*time.Millisecond, "%s %s", method, path)
	return got
}

// run plays a lesson through the api, as a page would, and waits for its end.
func run(t *testing.T, b *stage.Buyer, slug, shop, prediction string) (r lesson.Run) {
	t.Helper()
	body := map[string]any{"shop": shop}
	if prediction != "" {
		body["prediction"] = prediction
	}
	got := send(t, b, http.MethodPost, "/v1/lab/lessons/"+slug+"/runs", body)
	require.Equal(t, 202, got.Status, "%s", got.Body)
	at := got.Header.Get("Location")
	require.Equal(t, "/v1/lab/lesson-runs/"+got.Field("id").(string), at)
	require.Eventually(t, func() bool {
		got := send(t, b, http.MethodGet, at, nil)
		require.Equal(t, 200, got.Status, "%s", got.Body)
		r = lesson.Run{}
		require.NoError(t, json.Unmarshal(got.Body, &r))
		return r.State != lesson.Running
	}, 150*time.Second, 100*time.Millisecond, "%s comes to its end", slug)
	return r
}

func TestEveryLessonOnTheRealSystemHoldsWhatItStatesAndShowsTheOptionThatItsTextExpects(t *testing.T) {
	t.Parallel()
	all, err := lesson.All()
	require.NoError(t, err)
	s := house(t)
	for _, l := range all {
		t.Run(l.Slug, func(t *testing.T) {
			t.Parallel()
			r := run(t, s.Buyer(), l.Slug, lesson.Payonce, l.Text.Truth)
			took := r.FinishedAt.Time().Sub(r.StartedAt.Time())
			for _, step := range r.Steps {
				t.Logf("%5.1f s  %s", step.At.Time().Sub(r.StartedAt.Time()).Seconds(), step.Text)
			}
			for _, c := range r.Checks {
				require.NotEmpty(t, c.Query, c.ID)
				t.Logf("%v %s: %s expected %s, saw %s", c.OK, c.ID, c.Statement, c.Expected, c.Seen)
			}
			require.Equal(t, lesson.Finished, r.State, "%v", value(r.Error))
			require.True(t, r.OK, "every check holds")
			require.GreaterOrEqual(t, len(r.Checks), 3)
			require.Equal(t, l.Text.Truth, value(r.Truth), "what the run saw is what the text expects")
			require.True(t, *r.PredictedRight)
			require.NotNil(t, r.PaymentID)
			t.Logf("%s took %s", l.Slug, took.Round(time.Millisecond))
		})
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
