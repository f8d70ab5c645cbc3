package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"payonce/internal/lab/program"
)

// mutant is one planted bug.
type mutant struct {
	name string
	// breaks says which promise is gone.
	breaks string
	// file, old and new are the one edit that most bugs are; more are the others.
	file     string
	old, new string
	more     []edit
	// pkg and test name who must catch it; of a suite, Test/subtest.
	pkg  string
	test string
	// hangs says that the bug shows as a test that never ends: then, and only then, a
	// timeout has caught it.
	hangs bool
	// tags are build tags that the test needs, comma separated.
	tags string
	// invariant, instead of a test: the check of a short chaos campaign on the
	// mutated programs that must be found broken.
	invariant string
	// provider makes it a mutant of the simulator; see planted_provider.go.
	provider *provider
}

// edit replaces a text that stands once in a file.
type edit struct{ file, old, new string }

func (m mutant) edits() []edit { return append([]edit{{m.file, m.old, m.new}}, m.more...) }

// catcher is who must catch it.
func (m mutant) catcher() string {
	if m.invariant != "" {
		return "campaign: " + m.invariant
	}
	return m.test
}

const (
	caught   = "caught"
	survived = "SURVIVED"
	// The test had no end in time: of a bug that shows so, and of one that does not,
	// where a busy machine or another bug may be the reason. The latter proves nothing.
	hung     = "caught by its timeout"
	timedOut = "TIMED OUT"
	// Of a mutant of the simulator: the shop was right with it and, without its
	// protection, is not; or the shop was wrong with it.
	stood    = "stood"
	mistaken = "MISTAKEN"
)

// plant mutates the source and says whether the bug was caught.
func (m mutant) plant(ctx context.Context) (string, error) {
	if m.file == "" {
		return "", errNotPlanted
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(ctx, 2*flags.Timeout+time.Minute)
	defer cancel()
	if m.provider != nil {
		return m.trial(ctx, dir)
	}
	overlay, err := writeOverlay(dir, m.edits())
	if err != nil {
		return "", err
	}
	if m.invariant != "" {
		return m.campaign(ctx, dir, overlay)
	}
	verdict, _, err := m.underTest(ctx, overlay)
	return verdict, err
}

// underTest runs the mutant's test on the mutated source. Caught means that the
// named test ran and failed; a build that fails proves nothing. The programs of
// the stage are mutated too.
func (m mutant) underTest(ctx context.Context, overlay string) (verdict, text string, err error) {
	module, pkg := moduleOf(m.pkg)
	cmd := exec.CommandContext(ctx, "go", "-C", module, "test", "-count=1", "-tags", m.tags, "-overlay", overlay, "-timeout", flags.Timeout.String(), "-run", "^"+strings.ReplaceAll(m.test, "/", "$/^")+"$", pkg)
	cmd.Env = append(os.Environ(), program.OverlayVariable+"="+overlay)
	if m.provider != nil {
		cmd.Env = append(cmd.Env, noticedVariable+"="+m.provider.noticed)
	}
	text, err = run(cmd)
	verdict, err = m.read(text, err, errors.Is(ctx.Err(), context.DeadlineExceeded))
	return verdict, text, err
}

// read judges what go test has said; late means that it was stopped from outside.
func (m mutant) read(text string, failed error, late bool) (verdict string, err error) {
	switch {
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return "", fmt.Errorf("the mutated source does not build:\n%s", text)
	case strings.Contains(text, "no tests to run"):
		return "", fmt.Errorf("there is no test %s in %s", m.test, m.pkg)
	case failed == nil:
		return survived, nil
	case late, strings.Contains(text, "panic: test timed out"):
		if m.hangs {
			return hung, nil
		}
		return timedOut, nil
	case strings.Contains(text, "--- FAIL: "+m.test):
		return caught, nil
	}
	return "", fmt.Errorf("the test ended without a verdict: %w\n%s", failed, text)
}

// moduleOf says in which module's folder a package is tested, and its name there:
// go test refuses a package of another module.
func moduleOf(pkg string) (module, within string) {
	module = filepath.Clean(pkg)
	for module != "." {
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			break
		}
		module = filepath.Dir(module)
	}
	return module, "./" + strings.TrimPrefix(strings.TrimPrefix(filepath.Clean(pkg), module), "/")
}

// campaign runs a short chaos campaign on the mutated programs. Its seed is
// fixed: who looks for a planted bug does not want luck.
func (m mutant) campaign(ctx context.Context, dir, overlay string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./internal/lab/chaos/cmd/chaos",
		"--dir", dir, "--seed", "1", "--duration", "20s", "--actions", "kill", "--buyers", "8", "--rate", "15", "--patience", "45s", "--quiet", "--faults-only")
	cmd.Env = append(os.Environ(), program.OverlayVariable+"="+overlay)
	text, err := run(cmd)
	switch {
	case err == nil:
		return survived, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return timedOut, nil
	}
	raw, readErr := os.ReadFile(filepath.Join(dir, "report.json"))
	if readErr != nil {
		return "", fmt.Errorf("the campaign was not carried out: %w\n%s", err, text)
	}
	var report struct {
		Invariants []struct {
			ID string `json:"id"`
			OK bool   `json:"ok"`
		} `json:"invariants"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return "", err
	}
	for _, i := range report.Invariants {
		if i.ID == m.invariant && !i.OK {
			return caught, nil
		}
	}
	return "", fmt.Errorf("the campaign failed, and not at %s:\n%s", m.invariant, text)
}

func run(cmd *exec.Cmd) (string, error) {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	output, err := cmd.CombinedOutput()
	return string(output), err
}

var (
	errFitsNoMore = errors.New("this mutant has to be written anew")
	errNotPlanted = errors.New("the design's list names a bug that nobody planted")
)

// writeOverlay writes the mutated files and the list that go build takes. The tree is
// never touched.
func writeOverlay(dir string, edits []edit) (string, error) {
	mutated, replaced := map[string]string{}, map[string]string{}
	for i, e := range edits {
		original, err := filepath.Abs(e.file)
		if err != nil {
			return "", err
		}
		text, known := mutated[original]
		if !known {
			source, err := os.ReadFile(e.file)
			if err != nil {
				return "", err
			}
			text = string(source)
			replaced[original] = filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(e.file)))
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("the text to replace stands %d times in %s: %w", n, e.file, errFitsNoMore)
		}
		mutated[original] = strings.Replace(text, e.old, e.new, 1)
	}
	for original, text := range mutated {
		if err := os.WriteFile(replaced[original], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
