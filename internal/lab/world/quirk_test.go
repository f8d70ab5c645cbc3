package world_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"payonce/internal/lab/world"
)

func TestEachQuirkLeavesItsChargeInTheBooksAndEndsWithTheMood(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.Behave(world.Behaviour{Charges: "other_amount"})
	got := decode[world.Charge](t, must(s.pay("tok_ok", "more")).body)
	asked := s.ChargesByKey("more")
	if len(asked) != 1 || asked[0].AmountMinor != got.AmountMinor {
		t.Fatalf("the answer says %d, the books %+v", got.AmountMinor, asked)
	}

	s.Behave(world.Behaviour{Charges: "broken_json"})
	if half := must(s.pay("tok_ok", "half")); half.status != http.StatusCreated || json.Valid([]byte(half.body)) {
		t.Errorf("%d %s, want 201 and half an answer", half.status, half.body)
	}
	s.Behave(world.Behaviour{Charges: "reset_after"})
	cut, err := s.pay("tok_ok", "cut")
	noAnswer(t, cut, err)

	s.Behave(world.Behaviour{Charges: "forgetful"})
	for range 2 {
		expect(t, must(s.pay("tok_ok", "twice")), http.StatusCreated, "")
	}
	s.Behave(world.Behaviour{})
	whole := decode[world.Charge](t, must(s.pay("tok_ok", "whole")).body)
	if whole.AmountMinor != got.AmountMinor-1 {
		t.Errorf("in a good mood %d was charged, in the bad one %d", whole.AmountMinor, got.AmountMinor)
	}
	for key, charges := range map[string]int{"more": 1, "half": 1, "cut": 1, "twice": 2, "whole": 1} {
		if n := len(s.ChargesByKey(key)); n != charges {
			t.Errorf("%s: %d charges in the books, want %d", key, n, charges)
		}
	}
}

// must takes an answer for granted: no quirk of the ones asked so keeps it back.
func must(r reply, err error) reply {
	if err != nil {
		panic(err)
	}
	return r
}
