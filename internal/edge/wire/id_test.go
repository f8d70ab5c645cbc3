package wire_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

func TestAnIDHasExactlyOneSpelling(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("019a1c0d-4f8a-7c3e-9b21-d65f0a7e4c11")
	text := wire.PrefixPayment.ID(id)
	if text != "pay_019a1c0d4f8a7c3e9b21d65f0a7e4c11" {
		t.Fatalf("got %s", text)
	}
	back, ok := wire.PrefixPayment.Parse(text)
	if !ok || back != id {
		t.Fatalf("got %v %v", back, ok)
	}
	for _, wrong := range []string{
		"", "pay_", text + "0", text[:len(text)-1], strings.ToUpper(text), "pay_" + strings.ToUpper(text[4:]),
		strings.Replace(text, "pay_", "ord_", 1), id.String(), "pay_" + id.String(), " " + text, text + "\n",
		"pay_019a1c0d4f8a7c3e9b21d65f0a7e4c1g", "pay_019a1c0d4f8a7c3e9b21d65f0a7e4c1é",
	} {
		if _, ok := wire.PrefixPayment.Parse(wrong); ok {
			t.Errorf("%q was taken for a payment's id", wrong)
		}
	}
}
