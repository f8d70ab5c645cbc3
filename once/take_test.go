package once_test

import (
	"bytes"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once/oncetest"
)

// run runs the go command as an adopter does.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), problem.String())
	return string(out)
}

const broker = "github.com/rabbitmq/amqp091-go"

// taken are the libraries that come along with a pattern.
var taken = map[string][]string{
	"idempotency": {"github.com/google/uuid"}, "webhook": {"github.com/google/uuid"}, "outbox": {"github.com/google/uuid"},
	"retry": {"github.com/google/uuid", broker}, "inbox": {"github.com/google/uuid", broker}, "saga": {"github.com/google/uuid", broker},
}

// What an adopter takes of a pattern, in lines of code without comments and tests, and
// whose code that is.
func TestAPatternTakesFewLinesAndNoLibraryBesideUUID(t *testing.T) {
	t.Parallel()
	for pattern, most := range map[string]int{"idempotency": 1200, "webhook": 600, "outbox": 3000, "retry": 3000, "inbox": 3650, "saga": 7000} {
		var lines int
		for _, found := range strings.Fields(run(t, ".", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}}|{{.Dir}}|{{join .GoFiles ","}}{{end}}`, "./"+pattern)) {
			part := strings.Split(found, "|")
			if !strings.HasPrefix(part[0], "payonce/once") {
				require.Contains(t, taken[pattern], part[0], "%s takes it along", pattern)
				continue
			}
			for name := range strings.SplitSeq(part[2], ",") {
				lines += code(t, filepath.Join(part[1], name))
			}
		}
		t.Logf("%s: %d lines", pattern, lines)
		require.LessOrEqual(t, lines, most, pattern)
	}
}

// code counts the lines of a file that hold code.
func code(t *testing.T, file string) (lines int) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution) // without its comments
	require.NoError(t, err)
	var plain bytes.Buffer
	require.NoError(t, printer.Fprint(&plain, set, tree))
	for line := range strings.Lines(plain.String()) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	return lines
}

// The lines of README, in an empty module: copy, replace, tidy.
func TestAnEmptyModuleTakesTheFolderAndRuns(t *testing.T) {
	t.Parallel()
	dir, dsn := t.TempDir(), oncetest.Postgres(t)
	require.NoError(t, os.CopyFS(filepath.Join(dir, "once"), os.DirFS(".")))
	program, err := os.ReadFile("testdata/recipe/main.go")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), program, 0o600))
	run(t, dir, "mod", "init", "parcels")
	run(t, dir, "mod", "edit", "-replace=payonce/once=./once")
	run(t, dir, "mod", "tidy")
	run(t, dir, "vet", "./...")
	require.Equal(t, "sent replayed: false\nsent replayed: true\nparcels: 1\n", run(t, dir, "run", ".", dsn))
	require.NotContains(t, run(t, dir, "list", "-m", "all"), "gin-gonic")
}
