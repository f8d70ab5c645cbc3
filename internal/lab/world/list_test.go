package world_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"payonce/internal/lab/world"
)

type charges struct {
	Data       []world.Charge
	NextCursor *string `json:"next_cursor"`
}

func TestSevenChargesComeInPagesOfThreeOldestFirstEachOnce(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	var made []string
	for i := range 7 {
		got, err := s.pay("tok_ok", fmt.Sprint("k", i))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, decode[world.Charge](t, got.body).ID)
	}
	var seen []string
	var sizes []int
	for cursor := ""; ; {
		got := decode[charges](t, s.must("GET", "/v1/charges?limit=3&cursor="+cursor, "").body)
		sizes = append(sizes, len(got.Data))
		for _, c := range got.Data {
			seen = append(seen, c.ID)
		}
		if got.NextCursor == nil {
			break
		}
		cursor = *got.NextCursor
	}
	if !slices.Equal(seen, made) || !slices.Equal(sizes, []int{3, 3, 1}) {
		t.Errorf("pages of %v with %v, want %v", sizes, seen, made)
	}
}

func TestALookUpFindsByReferenceByKeyByBothAndNothingElse(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, c := range [][2]string{{"pay_1", "a"}, {"pay_1", "b"}, {"pay_2", "capture:pay_2:1"}} {
		s.must("POST", "/v1/charges", strings.Replace(oneCharge, "pay_1", c[0], 1), "Idempotency-Key", c[1])
	}
	for query, want := range map[string]int{
		"": 3, "reference=pay_1": 2, "reference=pay_2": 1, "reference=pay_3": 0, "idempotency_key=b": 1,
		"idempotency_key=" + url.QueryEscape("capture:pay_2:1"): 1, "reference=pay_2&idempotency_key=a": 0,
		"reference=pay": 0, "reference=%00": 0, "reference=%ff": 0, "idempotency_key=%25": 0,
	} {
		got := s.must("GET", "/v1/charges?"+query, "")
		expect(t, got, http.StatusOK, "")
		if n := len(decode[charges](t, got.body).Data); n != want {
			t.Errorf("?%s finds %d, want %d", query, n, want)
		}
	}
	if got := s.must("GET", "/v1/charges?reference=pay_3", ""); got.body != `{"data":[],"next_cursor":null}`+"\n" {
		t.Errorf("an empty list is %s", got.body)
	}
}

func TestTheBalanceAddsUpLiveChargesPerCurrency(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.cancel("late")
	for key, body := range map[string]string{
		"a": oneCharge, "b": oneCharge, "c": strings.Replace(oneCharge, "EUR", "USD", 1),
		"d": with("tok_declined"), "late": oneCharge,
	} {
		s.must("POST", "/v1/charges", body, "Idempotency-Key", key)
	}
	got := s.must("GET", "/v1/balance", "")
	want := `{"data":[{"currency":"EUR","amount_minor":8400,"charges":2},{"currency":"USD","amount_minor":4200,"charges":1}],"next_cursor":null}` + "\n"
	if got.status != 200 || got.body != want {
		t.Errorf("balance %d %s, want %s", got.status, got.body, want)
	}
}
