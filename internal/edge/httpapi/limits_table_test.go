package httpapi_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/retention"
	"payonce/internal/platform/config"
	"payonce/internal/platform/httpserver"
)

var (
	limitRow = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$`)
	number   = regexp.MustCompile(`\d`)
)

// Each number of the table is one of the source's: a row that has a number and is not
// below is as wrong as one that says another.
func TestTheTableOfLimitsSaysWhatTheSourceSays(t *testing.T) {
	t.Parallel()
	says := map[string]string{
		"requests of an address, and of a sandbox": fmt.Sprintf("%s a second, %s at once", grouped(config.DefaultRate), grouped(config.DefaultBurst)),
		"sandboxes that an address makes":          fmt.Sprintf("%s a second, %s at once", grouped(config.DefaultSandboxRate), grouped(config.DefaultSandboxBurst)),
		"an empty sandbox":                         long(retention.EmptySandbox),
		"connections of an address at a time":      grouped(httpserver.DefaultConnections),
		"live streams of an address at a time":     grouped(config.DefaultStreams),
		"headers":                                  long(httpserver.DefaultHeader) + ", " + large(http.DefaultMaxHeaderBytes),
		"headers and body together":                long(httpserver.DefaultRead) + ", " + large(httpapi.MaxBody),
		"an answer":                                "`PAYONCE_MAX_WAIT` and " + long(httpapi.AnswerBeyondWait) + "; simulator and admin servers " + long(httpserver.DefaultWrite),
		"one write of a stream":                    long(httpapi.StreamWrite),
		"an idle connection":                       long(httpserver.DefaultIdle),
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "security.md"))
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(text), "\n## Limits and deadlines\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, row := range limitRow.FindAllStringSubmatch(table, -1) {
		what, much := row[1], row[2]
		want, known := says[what]
		switch {
		case known && want != much:
			t.Errorf("%s: the table says %q, the source %q", what, much, want)
		case !known && number.MatchString(strings.ReplaceAll(much, "the /64 of an IPv6 address", "")):
			t.Errorf("%s: %q is held against no source", what, much)
		}
		delete(says, what)
	}
	for what := range says {
		t.Errorf("the table has no row %q", what)
	}
}

// grouped writes a number as people do: 2,000.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func long(d time.Duration) string {
	switch {
	case d == 24*time.Hour:
		return "a day"
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

func large(bytes int) string {
	if bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
