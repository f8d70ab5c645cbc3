package chaos

import (
	"cmp"
	"fmt"
	"slices"
)

// Truth is what the shop's database says at the end, for the comparison with
// what clients were told.
type Truth struct {
	// Payments by name: their state.
	Payments map[string]PaymentTruth
	Orders   map[string]bool
	// Used are the tickets that were let in.
	Used map[string]bool
	// Refunds by payment, in the order in which they were asked for.
	Refunds map[string][]RefundTruth
	// Hand are the refunds that were made at the provider, by its ids.
	Hand map[string]HandRefund
}

// RefundTruth is one refund at the end.
type RefundTruth struct {
	Name    string `db:"name"`
	Payment string `db:"payment"`
	Status  string `db:"status"`
	Amount  int64  `db:"amount_minor"`
	// External is the provider's id of one that was made there.
	External string `db:"external"`
}

func (t Truth) refund(payment, name string) bool {
	return slices.ContainsFunc(t.Refunds[payment], func(r RefundTruth) bool { return r.Name == name })
}

// sagas counts refunds by how they ended.
func (t Truth) sagas() map[string]int {
	counts := map[string]int{}
	for _, refunds := range t.Refunds {
		for _, r := range refunds {
			if r.External != "" {
				continue // no saga gave that back
			}
			counts[r.Status]++
		}
	}
	return counts
}

// PaymentTruth is one payment at the end.
type PaymentTruth struct {
	Status   string `db:"status"`
	Charge   string `db:"charge"`
	Attempts int    `db:"attempts"`
	Amount   int64  `db:"amount_minor"`
}

func (p PaymentTruth) captured() bool {
	return p.Status == "captured" || p.Status == "partially_refunded" || p.Status == "refunded"
}

// NoEarly2xx compares every 2xx that a client logged with its durable effect: a
// 201 with the order, a 200 with the captured payment and its charge, a 202
// with an attempt. It returns what was acknowledged and is not there.
func NoEarly2xx(log []Entry, truth Truth) (violations []string) {
	for _, e := range log {
		p, known := truth.Payments[e.Payment]
		switch {
		case e.Status == 201 && !truth.Orders[e.Order]:
			violations = append(violations, fmt.Sprintf("%s was acknowledged (201, key %s) and does not exist", e.Order, e.Key))
		case e.Operation == "check-in" && e.Status == 200 && !truth.Used[e.Ticket]:
			violations = append(violations, e.Ticket+" was let in and is not used")
		case e.Operation == "refund" && e.Status == 202 && !truth.refund(e.Payment, e.Refund):
			violations = append(violations, fmt.Sprintf("%s was acknowledged (202, key %s) and does not exist", e.Refund, e.Key))
		case e.Operation != "capture" || e.Status < 200 || e.Status > 299:
		case !known:
			violations = append(violations, fmt.Sprintf("%s was acknowledged (%d, key %s) and does not exist", e.Payment, e.Status, e.Key))
		case e.Status == 200 && !p.captured():
			violations = append(violations, fmt.Sprintf("%s was acknowledged as captured (key %s) and is %s", e.Payment, e.Key, p.Status))
		case e.Status == 200 && p.Charge != e.Charge:
			violations = append(violations, fmt.Sprintf("%s was acknowledged with %s (key %s) and holds %s", e.Payment, e.Charge, e.Key, p.Charge))
		case e.Status == 202 && p.Attempts == 0:
			violations = append(violations, fmt.Sprintf("%s was acknowledged as in doubt (key %s) and has no attempt", e.Payment, e.Key))
		}
	}
	return violations
}

// ReplayIdentical checks that all stored answers of one key are byte-identical,
// and that nothing else follows once one was seen, except what says nothing
// about the key (a 429, a 5xx, no answer).
func ReplayIdentical(log []Entry) (violations []string) {
	type name struct{ merchant, key string }
	byKey := map[name][]Entry{}
	for _, e := range log {
		if e.Operation == "check-in" { // which has no key
			continue
		}
		byKey[name{e.Merchant, e.Key}] = append(byKey[name{e.Merchant, e.Key}], e)
	}
	for n, entries := range byKey {
		slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.End, b.End) })
		first := slices.IndexFunc(entries, Entry.Stored)
		if first < 0 {
			continue
		}
		stored := entries[first]
		for i, e := range entries {
			if i != first {
				if fault := contradicts(stored, e); fault != "" {
					violations = append(violations, fmt.Sprintf("key %s of %s: %s", n.key, n.merchant, fault))
				}
			}
		}
	}
	slices.Sort(violations)
	return violations
}

// contradicts says what is wrong with e, given the answer that its key has; ""
// when nothing is.
func contradicts(stored, e Entry) string {
	same := e.Operation == stored.Operation && e.Payment == stored.Payment && e.Request == stored.Request
	if e.Operation == "order" { // its ids come with the answer
		same = stored.Operation == "order" && e.Request == stored.Request
	}
	after := e.Start > stored.End
	switch {
	case e.Status == 0 || e.Status == 429 || e.Status >= 500:
		return ""
	case same && e.Stored() && (e.Body != stored.Body || e.Status != stored.Status):
		return fmt.Sprintf("two stored answers: %d %.80s and %d %.80s", stored.Status, stored.Body, e.Status, e.Body)
	case same && !e.Stored() && after:
		return fmt.Sprintf("%d %s followed the stored %d", e.Status, e.Problem, stored.Status)
	case !same && after && e.Problem != "idempotency-key-reused":
		return fmt.Sprintf("another request got %d %s instead of 422", e.Status, e.Problem)
	}
	return ""
}
