// Package eventtest draws values of the shop's contract for property tests.
package eventtest

import (
	"strings"

	"pgregory.net/rapid"

	"payonce/internal/shop/event"
)

// Address draws addresses that an order takes, with all that may stand in one.
func Address() *rapid.Generator[event.Address] {
	return rapid.Custom(func(rt *rapid.T) event.Address {
		words := rapid.SliceOfN(rapid.StringMatching("[-A-Za-z0-9!#$%&'*+/=?^_`{|}~]{1,20}"), 1, 3).Draw(rt, "words")
		labels := rapid.SliceOfN(rapid.StringMatching("[A-Za-z0-9]([-A-Za-z0-9]{0,20}[A-Za-z0-9])?"), 1, 4).Draw(rt, "labels")
		return event.Address(strings.Join(words, ".") + "@" + strings.Join(labels, "."))
	})
}

// Text draws what is nearly one: words and marks that an address is made of, and
// a few that it is not.
func Text() *rapid.Generator[string] {
	return rapid.Custom(func(rt *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"a", "b", ".", "..", "@", "-", "_", "example", "org", " ", "<", ">", "\"", ",", "\r\n", "\u00fc", "\u0085", "[1]", "(c)", "\x00"}),
			rapid.StringN(0, 2, 4),
		), 1, 8).Draw(rt, "parts"), "")
	})
}
