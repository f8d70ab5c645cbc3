// Package money is an amount with its currency: integer minor units, never a
// float. Two amounts are equal only when both parts are.
package money

import (
	"fmt"

	"github.com/bojanz/currency"
)

// Max is the largest amount the shop handles, in minor units.
const Max = 99_999_999

// Money is an amount in minor units (cents, yen) of a currency.
type Money struct {
	AmountMinor int64  `json:"amount_minor" db:"amount_minor"`
	Currency    string `json:"currency" db:"currency"`
}

// Of makes a Money.
func Of(minor int64, code string) Money { return Money{AmountMinor: minor, Currency: code} }

// Valid says whether the currency is one of ISO 4217 and the amount is within
// 1 … 99 999 999 minor units.
func (m Money) Valid() error {
	if m.Currency == "" || !currency.IsValid(m.Currency) { // to the library an empty one is valid
		return fmt.Errorf("%q is no ISO 4217 currency", m.Currency)
	}
	if m.AmountMinor < 1 || m.AmountMinor > Max {
		return fmt.Errorf("the amount must be 1 … %d minor units", Max)
	}
	return nil
}

// String formats for people, in English: "€84.00".
func (m Money) String() string {
	amount, err := currency.NewAmountFromInt64(m.AmountMinor, m.Currency)
	if err != nil {
		return fmt.Sprintf("%d %s", m.AmountMinor, m.Currency)
	}
	return currency.NewFormatter(currency.NewLocale("en")).Format(amount)
}
