//go:build lab

package fault

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asSleeper makes this test binary a busy program that is stopped at a point.
const asSleeper = "PAYONCE_TEST_AS_SLEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(asSleeper) == "" {
		os.Exit(m.Run())
	}
	for range 8 {
		go func() {
			for {
				_ = sha256.Sum256(nil)
			}
		}()
	}
	_ = Add(Arm{Point: "relay.after_fetch", Action: Stop, For: 200 * time.Millisecond})
	began := time.Now()
	_ = Point("relay.after_fetch")
	_, _ = os.Stdout.WriteString(strconv.FormatInt(time.Since(began).Milliseconds(), 10))
	os.Exit(0)
}

// TestNothingIsDoneBetweenAStopAndItsEnd: what comes after a point must not be done by a
// process that is said to stand still, however busy the machine is.
func TestNothingIsDoneBetweenAStopAndItsEnd(t *testing.T) {
	for range 10 {
		sleeper := exec.CommandContext(t.Context(), os.Args[0])
		sleeper.Env = append(os.Environ(), asSleeper+"=1")
		out, err := sleeper.Output()
		require.NoError(t, err)
		passed, err := strconv.Atoi(strings.TrimSpace(string(out)))
		require.NoError(t, err)
		require.GreaterOrEqual(t, passed, 200, "ms from the point to what comes after it")
	}
}
