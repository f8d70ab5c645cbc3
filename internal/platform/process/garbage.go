package process

import (
	"os"
	"runtime/debug"
)

// garbagePercent lets a heap grow to four times what lives on it before it is collected.
// Some eight MiB live in each of our programs: at Go's 100 % a busy one collects ten times
// a second, which was a tenth of its time, to save memory that no one misses.
const garbagePercent = 300

// collectSeldom leaves what the environment says as it is.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
