package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
)

// verdict is the one sentence about a payment, in the words of the page
// (web/src/model/verdict.ts; a test holds the two together).
type verdict struct {
	Sentence string `json:"sentence"`
	// Tone is paid, unpaid, open or broken.
	Tone string `json:"tone"`
}

// senders is who sent the attempts, as far as this command knows.
type senders struct {
	clicks  int64
	gateway bool
}

// judge reads attempts and charges from the shop's proof, never from what was
// counted here.
func judge(p wire.Proof, payment wire.Payment, by senders) verdict {
	tone, sentence := outcome(p, payment)
	return verdict{Sentence: who(total(p), by) + " " + sentence, Tone: tone}
}

func who(attempts int64, by senders) string {
	switch {
	case by.gateway && by.clicks > 0:
		return fmt.Sprintf("You and the gateway tried %s.", times(attempts))
	case by.gateway:
		return fmt.Sprintf("The gateway tried %s.", times(attempts))
	case attempts == by.clicks:
		return fmt.Sprintf("You clicked %s.", times(attempts))
	case attempts > by.clicks && by.clicks > 0:
		return fmt.Sprintf("%s, %d requests.", amount(&by.clicks, "click", "", "s"), attempts)
	}
	return fmt.Sprintf("The shop was asked %s.", times(attempts))
}

func outcome(p wire.Proof, payment wire.Payment) (tone, sentence string) {
	charges := p.Effects.Charges
	switch {
	case charges != nil && *charges > 1:
		return "broken", fmt.Sprintf("You were charged %s. That must never happen.", times(*charges))
	case payment.Status == wire.PaymentStatusInDoubt, payment.Status == wire.PaymentStatusCapturing:
		return "open", "Charged? Not known yet."
	case charges == nil:
		return "open", "The provider is silent."
	case *charges == 1:
		return "paid", "You were charged once."
	case payment.Status == wire.PaymentStatusDeclined:
		why := ""
		if payment.DeclineCode != nil {
			why = ": " + strings.ReplaceAll(*payment.DeclineCode, "_", " ")
		}
		return "unpaid", "Declined" + why + ". You were not charged."
	}
	return "unpaid", "You were not charged."
}

func (v verdict) tone() screen.Tone {
	switch v.Tone {
	case "paid":
		return screen.Good
	case "broken":
		return screen.Bad
	}
	return screen.Open
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func total(p wire.Proof) (sum int64) {
	for _, n := range p.Attempts {
		sum += n
	}
	return sum
}

// fates in the order of the page.
var fates = []string{"executed", "replayed", "waited", "matched", "rejected", "recovered", "interrupted"}

// tally is "1 executed · 12 replayed · 7 waited": fates are never lumped together.
func tally(counts map[string]int64) string {
	names := make([]string, 0, len(counts))
	for name, n := range counts {
		if n > 0 {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		if i := slices.Index(fates, name); i >= 0 {
			return i
		}
		return len(fates)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, " · ")
}

func fateTone(f wire.Fate) screen.Tone {
	switch f {
	case wire.FateExecuted, wire.FateRecovered:
		return screen.Good
	case wire.FateReplayed, wire.FateWaited, wire.FateMatched:
		return screen.Soft
	case wire.FateRejected:
		return screen.Bad
	case wire.FateInterrupted:
		return screen.Open
	}
	return screen.Normal
}

// arrived says whether every effect that must come has come.
func arrived(p wire.Proof) bool {
	come := func(expected, seen *int64) bool {
		return expected == nil || seen != nil && *seen >= *expected
	}
	return come(p.Expected.Charges, p.Effects.Charges) && come(p.Expected.LedgerTransactions, p.Effects.LedgerTransactions) &&
		come(p.Expected.Mails, p.Effects.Mails) && come(p.Expected.Tickets, p.Effects.Tickets)
}

// chain is "5 clicks → 5 HTTP attempts → 9 broker deliveries → 1 charge, …": how
// many became how few.
func chain(p wire.Proof, by senders) string {
	attempts := total(p)
	var steps []string
	if by.clicks > 0 {
		steps = append(steps, amount(&by.clicks, "click", "", "s"))
	}
	steps = append(steps, amount(&attempts, "HTTP attempt", "", "s"))
	if p.BrokerDeliveries != nil {
		steps = append(steps, amount(p.BrokerDeliveries, "broker deliver", "y", "ies"))
	}
	steps = append(steps, strings.Join([]string{
		amount(p.Effects.Charges, "charge", "", "s"),
		amount(p.Effects.LedgerTransactions, "balanced ledger transaction", "", "s"),
		amount(p.Effects.Mails, "mail", "", "s"),
		amount(p.Effects.Tickets, "ticket", "", "s"),
	}, ", "))
	return strings.Join(steps, " → ")
}

// absorbedWords says where each twin was absorbed, one place after another.
func absorbedWords(a wire.Absorbed) string {
	var found []string
	for _, place := range []struct {
		n     *int64
		where string
	}{
		{&a.Key, "by their key"}, {&a.BusinessKey, "by the payment itself"},
		{a.Inbox, "by a consumer's inbox"}, {a.Provider, "by the provider's key"},
	} {
		if place.n != nil && *place.n > 0 {
			found = append(found, fmt.Sprintf("%d %s", *place.n, place.where))
		}
	}
	if len(found) == 0 {
		return "Nothing had to be absorbed so far."
	}
	return "Twins absorbed: " + strings.Join(found, ", ") + "."
}

// amount is "1 mail", "2 mails", or "? mails" where nobody could be asked.
func amount(n *int64, word, one, many string) string {
	switch {
	case n == nil:
		return "? " + word + many
	case *n == 1:
		return "1 " + word + one
	}
	return fmt.Sprintf("%d %s%s", *n, word, many)
}
