package lesson_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/lesson"
)

func TestEachNaiveTwinShowsTheHarmThatItsLessonIsAbout(t *testing.T) {
	t.Parallel()
	harms := map[string]string{
		"double-click": "two", "two-tabs": "two", "other-amount": "replayed", "lost-answer": "again", "timeout-after-charge": "again",
		"killed-after-charge": "again", "dual-write": "missing", "relay-killed": "doubled", "worker-killed": "doubled", "email": "two",
		"webhooks": "applied",
	}
	all, err := lesson.All()
	require.NoError(t, err)
	s := house(t)
	for _, l := range all {
		if l.Naive == nil {
			require.Empty(t, harms[l.Slug], "%s has a harm and no twin", l.Slug)
			continue
		}
		t.Run(l.Slug, func(t *testing.T) {
			t.Parallel()
			require.True(t, l.Text.Offers(harms[l.Slug]), "the harm is an option of the prediction")
			r := run(t, s.Buyer(), l.Slug, lesson.Naive, l.Text.Truth)
			for _, step := range r.Steps {
				t.Log(step.Text)
			}
			for _, c := range r.Checks {
				t.Logf("%v %s: %s expected %s, saw %s", c.OK, c.ID, c.Statement, c.Expected, c.Seen)
			}
			require.Equal(t, lesson.Finished, r.State, "%s", value(r.Error))
			require.False(t, r.OK, "a check of it is red")
			require.Equal(t, harms[l.Slug], value(r.Truth))
			require.False(t, *r.PredictedRight)
			require.Regexp(t, "^nai_", value(r.PaymentID))
		})
	}
}
