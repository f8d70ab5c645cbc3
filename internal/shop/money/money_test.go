package money_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/shop/money"
)

func TestAmountsAreFormattedWithTheirCurrencysDigits(t *testing.T) {
	t.Parallel()
	require.Equal(t, "€84.00", money.Of(8400, "EUR").String())
	require.Equal(t, "¥8,400", money.Of(8400, "JPY").String())
	require.Equal(t, "1 XXXX", money.Of(1, "XXXX").String())
}

func TestOneToNinetyNineMillionMinorUnitsOfAKnownCurrency(t *testing.T) {
	t.Parallel()
	require.NoError(t, money.Of(1, "EUR").Valid())
	require.NoError(t, money.Of(money.Max, "EUR").Valid())
	require.Error(t, money.Of(0, "EUR").Valid())
	require.Error(t, money.Of(money.Max+1, "EUR").Valid())
	require.Error(t, money.Of(1, "").Valid())
	require.Error(t, money.Of(1, "EURO").Valid())
	require.Error(t, money.Of(1, "eur").Valid())
}
