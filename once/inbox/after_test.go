package inbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatFollowsTheCommitIsForgottenWithARollback(t *testing.T) {
	t.Parallel()
	ctx, committed := Committing(t.Context())
	var done []string
	begun(ctx)
	AfterCommit(ctx, func() { done = append(done, "rolled back") })
	begun(ctx)
	AfterCommit(ctx, func() { done = append(done, "first") })
	AfterCommit(ctx, func() { done = append(done, "second") })
	require.Empty(t, done, "not before the commit")
	committed()
	require.Equal(t, []string{"first", "second"}, done)
	AfterCommit(t.Context(), func() { t.Error("no transaction is known here") })
}
