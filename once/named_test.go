package once_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once"
)

func TestANameIsOneParameterHoweverOftenItStandsAndQuotesHoldNone(t *testing.T) {
	t.Parallel()
	s := once.Named(`UPDATE parcels SET note = 'to @home', "@x" = @status -- not @this
 WHERE id = @parcel::uuid AND status <> @status AND tags @> @tags`)
	require.Equal(t, `UPDATE parcels SET note = 'to @home', "@x" = $1 -- not @this
 WHERE id = $2::uuid AND status <> $1 AND tags @> $3`, s.Text())
	mine := once.Args{"parcel": "p", "status": "packed"}
	require.Equal(t, []any{"packed", "p", nil}, s.Values(mine.With(once.Args{"tags": nil, "unused": 1})))
	require.Len(t, mine, 2, "With leaves what it adds to as it was")
}

func TestAParameterWithoutAValueIsNamed(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "once: the statement's parameter @parcel has no value", func() {
		once.Named(`SELECT @parcel`).Values(once.Args{"parcell": 1})
	})
}
