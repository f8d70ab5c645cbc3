package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/wire"
)

func n(v int64) *int64 { return &v }

// The page's own tests hold the page to these sentences; this one holds the
// command line to the same, so that neither changes alone.
func TestTheSentencesAreThoseOfThePage(t *testing.T) {
	t.Parallel()
	code := "insufficient_funds"
	for sentence, one := range map[string]struct {
		attempts map[string]int64
		charges  *int64
		payment  wire.Payment
		by       senders
	}{
		"You clicked 7 times. You were charged once.":                              {map[string]int64{"executed": 1, "replayed": 4, "waited": 2}, n(1), wire.Payment{Status: "captured"}, senders{clicks: 7}},
		"You clicked once. You were charged once.":                                 {map[string]int64{"executed": 1}, n(1), wire.Payment{Status: "captured"}, senders{clicks: 1}},
		"1 click, 3 requests. You were charged once.":                              {map[string]int64{"interrupted": 2, "recovered": 1}, n(1), wire.Payment{Status: "captured"}, senders{clicks: 1}},
		"The gateway tried 50 times. You were charged once.":                       {map[string]int64{"executed": 1, "replayed": 49}, n(1), wire.Payment{Status: "captured"}, senders{gateway: true}},
		"You clicked 2 times. Declined: insufficient funds. You were not charged.": {map[string]int64{"executed": 1, "replayed": 1}, n(0), wire.Payment{Status: "declined", DeclineCode: &code}, senders{clicks: 2}},
	} {
		said := judge(wire.Proof{Attempts: one.attempts, Effects: wire.Effects{Charges: one.charges}}, one.payment, one.by).Sentence
		require.Equal(t, sentence, said)
		require.Contains(t, page(t, "verdict.test.ts"), sentence)
	}
	// The rest is compared word by word with what the page is made of.
	for _, sentence := range []string{
		"That must never happen.", "Charged? Not known yet.", "The provider is silent.", "You were not charged.",
	} {
		require.Contains(t, page(t, "verdict.ts"), sentence)
	}
	for _, words := range []string{"by their key", "by the payment itself", "by a consumer's inbox", "by the provider's key", "Nothing had to be absorbed so far.", "balanced ledger transaction"} {
		require.Contains(t, page(t, "proof.ts"), words)
	}
	for _, fate := range fates {
		require.Contains(t, page(t, "fate.ts"), fate+": {")
	}
}

func TestAnOpenPaymentIsNeverCalledPaidAndAnUnknownCountNeverZero(t *testing.T) {
	t.Parallel()
	tone := func(status wire.PaymentStatus, charges *int64) string {
		return judge(wire.Proof{Effects: wire.Effects{Charges: charges}}, wire.Payment{Status: status}, senders{}).Tone
	}
	require.Equal(t, "open", tone("in_doubt", n(1)))
	require.Equal(t, "open", tone("capturing", n(0)))
	require.Equal(t, "open", tone("captured", nil))
	require.Equal(t, "broken", tone("captured", n(2)))
	require.Equal(t, "unpaid", tone("requires_capture", n(0)))
	require.Equal(t, "? mails", amount(nil, "mail", "", "s"))
	require.False(t, arrived(wire.Proof{Expected: wire.Effects{Mails: n(1)}}))
	require.True(t, arrived(wire.Proof{Expected: wire.Effects{Mails: n(1)}, Effects: wire.Effects{Mails: n(2)}}))
}

func TestEachFateIsCountedByItself(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1 executed · 12 replayed · 7 waited · 1 novel", tally(map[string]int64{"novel": 1, "waited": 7, "executed": 1, "replayed": 12, "matched": 0}))
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../web/src/model/" + name)
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "${times(charges)}", "")
}
