package event_test

import (
	"net/mail"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"payonce/internal/shop/event"
	"payonce/internal/shop/event/eventtest"
)

func TestEachAddressThatIsDrawnIsOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		want := eventtest.Address().Draw(rt, "address")
		if got, err := event.ParseAddress(string(want)); err != nil || got != want {
			rt.Fatalf("%q: %v", want, err)
		}
	})
}

func TestWhatOneServerTakesAndAnotherDoesNotIsNoAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "@", "a", "a@", "@b", "a@b@c", ".a@b", "a.@b", "a..a@b", "a b@c", "a@b c", "a@b.", "a@.b", "a@b..c", "a@-b", "a@b-", "a@b_c", "a@[127.0.0.1]",
		`"a"@b`, `a"@b`, `a\\@b`, "a(x)@b", "<a@b>", "A <a@b>", "a@b,c@d", "a@b;", "a:b@c", "a\x00@b", "a\x7f@b", "a\u0085b@c", "\u00fc@b", "a@\u00fc", "a\u2028@b", "a\xff@b",
		"a@b\r\nRCPT TO:<c@d>", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("bcdefgh.", 31) + "bcdefg",
	} {
		if got, err := event.ParseAddress(s); err == nil {
			t.Errorf("%q is taken for %q", s, got)
		}
	}
	longest := "a@" + strings.Repeat("bcdefgh.", 31) + "bcde"
	if _, err := event.ParseAddress(longest); len(longest) != 254 || err != nil {
		t.Errorf("%d bytes: %v", len(longest), err)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"a@example.org", "a.b@c", "a..b@c", "\u00fc@b", "a@b\r\n", "A <a@b>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := event.ParseAddress(s)
		if err != nil {
			return
		}
		parsed, err := mail.ParseAddress(s)
		if string(got) != s || err != nil || parsed.Address != s || parsed.Name != "" {
			t.Fatalf("%q: %q, which Go reads as %+v (%v)", s, got, parsed, err)
		}
	})
}
