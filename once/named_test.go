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

func TestANumberBesideANameAndTwoValuesForOneAreMistakes(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { once.Named(`UPDATE parcels SET status = $1 WHERE id = @parcel`) })
	require.Equal(t, `SELECT $1`, once.Named(`SELECT $1`).Text())
	require.Panics(t, func() { once.Args{"key": 1}.With(once.Args{"key": 2}) })
}

func TestWhatDollarQuotesBlockCommentsEscapesAndOperatorsHoldIsNoParameter(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`SELECT $$ @x $$`, `SELECT 1 /* it's @x */`, `SELECT E'it\'s @x'`, `SELECT body @@to_tsquery('a')`, `SELECT a <@b`} {
		require.Equal(t, text, once.Named(text).Text())
		require.Empty(t, once.Named(text).Values(nil), text)
	}
}

func TestASchemaIsQuotedWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	require.Equal(t, `SELECT FROM "a$b".letters`, once.Schema("a$b").In(`SELECT FROM {letters}`))
	require.Equal(t, `SELECT FROM "a""b".letters`, once.Schema(`a"b`).In(`SELECT FROM {letters}`))
}
