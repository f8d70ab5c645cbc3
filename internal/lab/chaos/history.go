package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// The history check asks whether what the clients saw of one payment could have
// come from a payment that did one thing after the other.
//
// A payment, told sequentially: it is open until it is captured, once, by one
// charge. Each key has no answer or one. A capture with a key that has an
// answer gives that answer. With a key that has none it gives 200 and the
// charge, which captures the payment unless it is captured already; or, while
// the payment is open, 402. A timeout, a 5xx, a 202 or a 409 is unknown: it did
// nothing, or what a 200 or a 402 does, at any time from its call on.
type paymentState struct {
	captured bool
	charge   string // "" while captured by an attempt whose answer nobody saw
	answers  answers
}

type captureInput struct {
	key  string
	read bool // the last look at the payment, after everything
}

type captureOutput struct {
	status int // 200, 402, 0: unknown; of a read: 200 captured, 402 not
	charge string
	body   string
}

// unseen is the outcome of a key whose answer nobody has seen yet.
const unseen = "?"

// answers are what keys are answered, "key=outcome;" in the order of keys, so
// that states compare.
type answers string

func (a answers) of(key string) (outcome string, known bool) {
	for pair := range strings.SplitSeq(string(a), ";") {
		if name, value, _ := strings.Cut(pair, "="); name == key && name != "" {
			return value, true
		}
	}
	return "", false
}

func (a answers) with(key, outcome string) answers {
	var pairs []string
	for pair := range strings.SplitSeq(string(a), ";") {
		if name, _, _ := strings.Cut(pair, "="); name != key && name != "" {
			pairs = append(pairs, pair)
		}
	}
	pairs = append(pairs, key+"="+strings.ReplaceAll(outcome, ";", ","))
	slices.Sort(pairs)
	return answers(strings.Join(pairs, ";"))
}

func (s paymentState) with(key, outcome string) paymentState {
	s.answers = s.answers.with(key, outcome)
	return s
}

// step returns the states that a payment may be in after the operation.
func step(s paymentState, in captureInput, out captureOutput) []paymentState {
	if in.read {
		fits := s.captured == (out.status == 200) && (s.charge == "" || out.charge == "" || s.charge == out.charge)
		if fits {
			return []paymentState{s}
		}
		return nil
	}
	if out.status == 0 {
		return append(possible(s, in.key), s)
	}
	var next []paymentState
	for _, candidate := range append(possible(s, in.key), s) {
		if settled, ok := settle(candidate, in.key, out); ok && !slices.Contains(next, settled) {
			next = append(next, settled)
		}
	}
	return next
}

// possible are the effects of a capture with a key that has no answer yet.
func possible(s paymentState, key string) []paymentState {
	if _, known := s.answers.of(key); known {
		return nil
	}
	captured := s.with(key, "200"+unseen)
	captured.captured = true
	if s.captured {
		return []paymentState{captured}
	}
	return []paymentState{captured, s.with(key, "402"+unseen)}
}

// settle makes the answer that a client saw the key's answer, if it can be.
func settle(s paymentState, key string, out captureOutput) (paymentState, bool) {
	seen := strings.ReplaceAll(fmt.Sprintf("%d %s", out.status, out.body), ";", ",")
	has, known := s.answers.of(key)
	if !known || has != seen && has != fmt.Sprintf("%d%s", out.status, unseen) {
		return s, false
	}
	if out.status == 200 {
		if s.charge != "" && s.charge != out.charge {
			return s, false
		}
		s.charge = out.charge
	}
	return s.with(key, seen), true
}

var paymentModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{paymentState{}} },
	Step: func(state, input, output any) []any {
		var next []any
		for _, s := range step(state.(paymentState), input.(captureInput), output.(captureOutput)) { //nolint:errcheck // they are ours
			next = append(next, s)
		}
		return next
	},
}

// Linearizable checks every payment's captures and refunds, with the truth at the
// end as a last read. It returns the payments whose history no sequential payment
// has, and those that could not be decided in time.
func Linearizable(log []Entry, truth Truth, patience time.Duration) (violations, undecided []string) {
	captures := historiesOf(log)
	for payment := range captures {
		if p, known := truth.Payments[payment]; known {
			captures[payment] = append(captures[payment], lastRead(p))
		}
	}
	deadline := time.Now().Add(patience)
	for _, book := range []struct {
		what      string
		model     porcupine.Model
		histories map[string][]porcupine.Operation
	}{
		{"captures", paymentModel.ToModel(), captures},
		{"refunds", refundModel.ToModel(), refundHistories(log, truth)},
	} {
		for payment, history := range book.histories {
			switch porcupine.CheckOperationsTimeout(book.model, history, max(time.Until(deadline), time.Millisecond)) {
			case porcupine.Illegal:
				violations = append(violations, payment+", "+book.what)
			case porcupine.Unknown:
				undecided = append(undecided, payment+", "+book.what)
			case porcupine.Ok:
			}
		}
	}
	slices.Sort(violations)
	slices.Sort(undecided)
	return violations, undecided
}

// never is when an operation whose outcome is unknown returns: before the last
// look, which comes after everything has settled.
const never = math.MaxInt64 - 2

// historiesOf sorts the log by payment. Of the attempts with one key whose
// outcome is unknown the first stands for all: whatever a later one may have
// done, the first may have done at the same moment, and a key has one effect.
func historiesOf(log []Entry) map[string][]porcupine.Operation {
	type name struct{ payment, key string }
	unknown := map[name]Entry{}
	histories := map[string][]porcupine.Operation{}
	for _, e := range log {
		op, counts := operation(e)
		switch {
		case !counts:
		case e.Unknown():
			n := name{e.Payment, e.Key}
			if first, known := unknown[n]; !known || e.Start < first.Start {
				unknown[n] = e
			}
		default:
			histories[e.Payment] = append(histories[e.Payment], op)
		}
	}
	for n, e := range unknown {
		op, _ := operation(e)
		histories[n.payment] = append(histories[n.payment], op)
	}
	return histories
}

func operation(e Entry) (porcupine.Operation, bool) {
	if e.Operation != "capture" || e.Problem == "idempotency-key-reused" || e.Problem == "amount-mismatch" {
		return porcupine.Operation{}, false
	}
	op := porcupine.Operation{Input: captureInput{key: e.Key}, Call: int64(e.Start), Return: int64(e.End)}
	if e.Unknown() {
		op.Output, op.Return = captureOutput{}, never
		return op, true
	}
	op.Output = captureOutput{status: e.Status, charge: e.Charge, body: e.Body}
	return op, true
}

func lastRead(p PaymentTruth) porcupine.Operation {
	out := captureOutput{status: 402}
	if p.captured() {
		out = captureOutput{status: 200, charge: p.Charge}
	}
	return porcupine.Operation{Input: captureInput{read: true}, Output: out, Call: never + 1, Return: never + 2}
}
