package chaos

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// A payment's refunds, told sequentially: each accepted one holds its amount, a
// failed one gives it back, and what is held never exceeds what was captured. A
// request is accepted if its amount is free (without an amount: whatever is
// free, unless nothing is) and refused otherwise; its key has that answer from
// then on. What was given back at the provider is booked when it is free. Unknown
// requests did nothing, or one of the two.
type refundState struct {
	held int64
	// answers are those of the keys; see paymentState.
	answers answers
}

type refundInput struct {
	key   string
	total int64
	asked int64 // 0: what is left
	// back is the amount that a failed refund gives back, at any time; hand is one
	// that was given back at the provider, booked at any time after that, when it is
	// free; read is the last look.
	back, hand int64
	read       bool
}

type refundOutput struct {
	known    bool
	accepted bool
	amount   int64  // of an accepted one; of the last look, what is held
	body     string // of a refusal; of an accepted one its id
}

func refundStep(s refundState, in refundInput, out refundOutput) []refundState {
	switch {
	case in.read && s.held == out.amount:
		return []refundState{s}
	case in.read, in.back > s.held, in.hand > 0 && in.hand > in.total-s.held:
		return nil
	case in.hand > 0:
		s.held += in.hand
		return []refundState{s}
	case in.back > 0:
		s.held -= in.back
		return []refundState{s}
	case !out.known:
		return append(decided(s, in), s)
	}
	var next []refundState
	for _, candidate := range append(decided(s, in), s) {
		seen := "refused " + out.body
		if out.accepted {
			seen = fmt.Sprintf("accepted %d %s", out.amount, out.body)
		}
		seen = strings.ReplaceAll(seen, ";", ",")
		has, known := candidate.answers.of(in.key)
		unheard := has == "refused?" && !out.accepted || has == fmt.Sprintf("accepted %d?", out.amount) && out.accepted
		if known && (has == seen || unheard) {
			candidate.answers = candidate.answers.with(in.key, seen)
			if !slices.Contains(next, candidate) {
				next = append(next, candidate)
			}
		}
	}
	return next
}

// decided is the one thing that the shop can do with a request whose key has no
// answer yet; nothing when it has one.
func decided(s refundState, in refundInput) []refundState {
	if _, known := s.answers.of(in.key); known {
		return nil
	}
	amount, free := in.asked, in.total-s.held
	if amount == 0 {
		amount = free
	}
	if amount == 0 || amount > free {
		s.answers = s.answers.with(in.key, "refused?")
		return []refundState{s}
	}
	s.held += amount
	s.answers = s.answers.with(in.key, fmt.Sprintf("accepted %d?", amount))
	return []refundState{s}
}

var refundModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{refundState{}} },
	Step: func(state, input, output any) []any {
		var next []any
		for _, s := range refundStep(state.(refundState), input.(refundInput), output.(refundOutput)) { //nolint:errcheck // they are ours
			next = append(next, s)
		}
		return next
	},
}

// refundHistories sorts the refunds by payment. What a failed refund held is
// free again at some time after its first request began. What was given back at the
// provider is held from its booking on, and was not asked for before it was made.
func refundHistories(log []Entry, truth Truth) map[string][]porcupine.Operation {
	type name struct{ payment, key string }
	unknown, began := map[name]Entry{}, map[string]int64{}
	histories := map[string][]porcupine.Operation{}
	for _, e := range log {
		if e.Operation != "refund" || e.Problem == "idempotency-key-reused" {
			continue
		}
		if first, known := began[e.Payment]; !known || int64(e.Start) < first {
			began[e.Payment] = int64(e.Start)
		}
		if e.Stored() {
			histories[e.Payment] = append(histories[e.Payment], refundOperation(e, truth))
			continue
		}
		n := name{e.Payment, e.sent()}
		if first, known := unknown[n]; !known || e.Start < first.Start {
			unknown[n] = e
		}
	}
	for n, e := range unknown {
		histories[n.payment] = append(histories[n.payment], refundOperation(e, truth))
	}
	for payment, refunds := range truth.Refunds {
		if _, asked := histories[payment]; !asked && slices.ContainsFunc(refunds, func(r RefundTruth) bool { return r.External != "" }) {
			histories[payment] = nil // the last look adds what was made by hand
		}
	}
	for payment := range histories {
		held := int64(0)
		for _, r := range truth.Refunds[payment] {
			if r.External != "" {
				histories[payment] = append(histories[payment], porcupine.Operation{
					Input: refundInput{hand: r.Amount, total: truth.Payments[payment].Amount}, Output: refundOutput{},
					Call: int64(truth.Hand[r.External].Began), Return: never,
				})
			}
			if r.Status != "failed" {
				held += r.Amount
				continue
			}
			histories[payment] = append(histories[payment], porcupine.Operation{
				Input: refundInput{back: r.Amount}, Output: refundOutput{}, Call: began[payment], Return: never,
			})
		}
		histories[payment] = append(histories[payment], porcupine.Operation{
			Input: refundInput{read: true}, Output: refundOutput{amount: held}, Call: never + 1, Return: never + 2,
		})
	}
	return histories
}

func refundOperation(e Entry, truth Truth) porcupine.Operation {
	// A refund knows its key for ever: in a second life of the key it is the same one.
	in := refundInput{key: e.sent(), total: truth.Payments[e.Payment].Amount, asked: e.Asked}
	if !e.Stored() {
		return porcupine.Operation{Input: in, Output: refundOutput{}, Call: int64(e.Start), Return: never}
	}
	out := refundOutput{known: true, accepted: e.Status == 202, body: e.Body}
	if out.accepted {
		out.amount, out.body = e.Amount, e.Refund
	}
	return porcupine.Operation{Input: in, Output: out, Call: int64(e.Start), Return: int64(e.End)}
}
