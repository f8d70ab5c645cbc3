package process

import (
	"os"
	"runtime/debug"
)

// garbagePercent lets a heap grow to four times what lives on it before it is collected. At
// Go's 100 % a busy api spent a fourteenth of its time on collecting; what lives in our
// programs is small.
const garbagePercent = 300

// collectSeldom leaves what the environment says as it is.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
