package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/program"
)

// TestDefaultBinariesHoldNoLabCode reads the production binaries: no crash
// point, no route of the laboratory, no simulator. The lab build is read too,
// so that the test knows what it looks for.
func TestDefaultBinariesHoldNoLabCode(t *testing.T) {
	t.Parallel()
	build := func(tags string) string {
		dir := t.TempDir()
		require.NoError(t, program.Builds{Dir: dir, Tags: tags, Programs: []string{"api", "relay", "worker"}}.Make(t.Context()))
		return dir
	}
	// The page knows the laboratory's routes and hides what does not answer, so
	// these are names that only code has.
	traces := map[string]string{ // and a program whose lab build holds it
		"capture.before_finalise": "api", "webhook.before_receipt": "api", "no crash point is called so": "api", "payonce/internal/lab/": "api",
		"lab.fault_watchers": "worker", "naive.checkouts": "api", "naive.tickets": "worker", "payonce.naive": "worker", "ledger.before_effect": "worker", "recovery.after_fetch": "worker", "mailer.after_lease": "worker",
		"relay.after_publish": "relay", "crash point fires": "relay", "injected by an armed crash point": "relay",
	}
	holds := func(dir, name, trace string) bool {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return bytes.Contains(b, []byte(trace))
	}
	production, lab := build(""), build("lab")
	for trace, name := range traces {
		require.True(t, holds(lab, name, trace), "the lab build does not hold %q: look for something else", trace)
		for _, name := range []string{"api", "relay", "worker"} {
			require.False(t, holds(production, name, trace), "the default %s holds %q", name, trace)
		}
	}
}
