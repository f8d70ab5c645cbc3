package money_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/bojanz/currency"
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

// The page has no library: it reads the same digits from a file of its own, which
// lists the currencies that have not two.
func TestThePageReadsAmountsWithTheSameDigits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../../web/src/model/currency-digits.json"))
	require.NoError(t, err)
	var page map[string]uint8
	require.NoError(t, json.Unmarshal(text, &page))

	shop := map[string]uint8{}
	for _, code := range currency.GetCurrencyCodes() {
		if digits, _ := currency.GetDigits(code); digits != 2 {
			shop[code] = digits
		}
	}
	require.Equal(t, shop, page)
}
