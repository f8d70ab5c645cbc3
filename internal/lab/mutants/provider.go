package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// A mutant of the simulator changes internal/lab/world and nothing of the shop:
// it is a provider that behaves otherwise than the kind one. Its test passes with
// the kind simulator, must pass with the mutant, and must fail with the mutant
// once the shop's protection is gone too. So the test proves something, and the
// protection is what the shop believes of a provider.
type provider struct {
	// breach says that no provider may behave so. Then the shop need not be right,
	// and must not be wrong in silence.
	breach bool
	// holds is what must be true of the shop all the same.
	holds string
	// noticed are the open alerts, the red invariants and the words of the test
	// that must have noticed a breach, sorted, comma separated; see
	// internal/edge/audit/provider_test.go. Empty: nothing is wrong, so nothing is said.
	noticed string
	// without takes the shop's protection away.
	without []edit
}

// noticedVariable tells a test what must be noticed.
const noticedVariable = "PAYONCE_PROVIDER_NOTICED"

// trial runs the test with the mutated simulator, and again without the shop's
// protection.
func (m mutant) trial(ctx context.Context, dir string) (string, error) {
	protected, err := writeOverlay(dir, m.edits())
	if err != nil {
		return "", err
	}
	verdict, text, err := m.underTest(ctx, protected)
	if err != nil {
		return "", err
	}
	switch verdict {
	case caught:
		fmt.Fprintf(os.Stderr, "%s: the shop was wrong:\n%s\n", m.name, text)
		return mistaken, nil
	case timedOut, hung: // Whether the shop was right nobody knows.
		return timedOut, nil
	}
	bare, err := writeOverlay(dir, slices.Concat(m.edits(), m.provider.without))
	if err != nil {
		return "", err
	}
	verdict, _, err = m.underTest(ctx, bare)
	if verdict == caught || verdict == hung {
		verdict = stood
	}
	return verdict, err
}

// must is what has to happen with a mutant.
func (m mutant) must() string {
	switch {
	case m.provider == nil && m.hangs:
		return "the test fails or never ends"
	case m.provider == nil:
		return "the test fails"
	case m.provider.breach && m.provider.noticed != "":
		return "breach of contract: " + m.provider.holds + ", noticed by " + m.provider.noticed
	case m.provider.breach:
		return "breach of contract: " + m.provider.holds
	}
	return "allowed: " + m.provider.holds
}
