package arch_test

import (
	"flag"
	"os"
	"testing"

	"payonce/internal/arch"
)

var write = flag.Bool("write", false, "write the table of listings instead of comparing it")

func TestTheTableOfListingsIsThePresentOne(t *testing.T) {
	t.Parallel()
	const page = "../../docs/failure.md"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	now, err := arch.WriteListings(string(old))
	switch {
	case err != nil:
		t.Fatal(err)
	case *write:
		if err := os.WriteFile(page, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	case now != string(old):
		t.Error("docs/failure.md has another table of listings; run make generate")
	}
}

// A caller that is gone, or that asks for more, is found like a new one.
func TestAListingThatChangedIsAViolation(t *testing.T) {
	t.Parallel()
	house := loadHouse(t)
	const clear = "internal/shop/checkout/clear.go"
	more, err := house.With(clear, `package checkout

func (s *Service) live() { provider.Alive(); s.Provider.RefundsOfCharge() }
`)
	if err != nil {
		t.Fatal(err)
	}
	for what, tree := range map[string]arch.Tree{"asks for more": more, "is gone": house.Without(clear)} {
		if !violates(arch.Check(tree, "listing"), "listing", clear) {
			t.Errorf("a listing that %s is not found", what)
		}
	}
	if !violates(arch.Check(house.Without("internal/shop/checkout/listing_test.go"), "listing"), "listing", "internal/shop/checkout/listing_test.go") {
		t.Error("a listing whose test is gone is not found")
	}
}
