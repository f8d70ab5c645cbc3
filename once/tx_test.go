package once_test

import (
	"database/sql"
	"reflect"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"payonce/once"
)

// What SQL takes is decided by the compiler; this asks the question that it asks.
func TestATransactionIsTakenAndAPoolOrAConnectionIsNot(t *testing.T) {
	t.Parallel()
	takes := reflect.TypeOf(once.SQL).In(0)
	for _, tx := range []any{(*sql.Tx)(nil), (*sqlx.Tx)(nil)} {
		require.True(t, reflect.TypeOf(tx).Implements(takes), "%T", tx)
	}
	for _, other := range []any{(*sql.DB)(nil), (*sql.Conn)(nil), (*sqlx.DB)(nil), (*sqlx.Conn)(nil), (*sql.Stmt)(nil)} {
		require.False(t, reflect.TypeOf(other).Implements(takes), "%T", other)
	}
	isTx := reflect.TypeFor[once.Tx]()
	for _, other := range []reflect.Type{reflect.TypeFor[once.DB](), reflect.TypeFor[once.Session]()} {
		require.False(t, other.Implements(isTx), other)
	}
}
