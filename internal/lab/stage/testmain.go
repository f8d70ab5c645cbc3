package stage

import (
	"context"
	"os"
	"sync"
	"testing"

	"payonce/internal/lab/program"
)

// built is the folder with the programs, made when the first test asks.
var built = sync.OnceValues(func() (string, error) {
	if made := program.Made(); made != "" {
		return made, nil
	}
	dir, err := os.MkdirTemp("", "payonce-stage-")
	if err != nil {
		return "", err
	}
	ownBuild = dir
	return dir, program.Builds{Dir: dir, Tags: "lab"}.Make(context.Background())
})

// ownBuild is the folder that this test binary made, "" when it made none.
var ownBuild string

// Main runs a package's tests and throws away the programs that they built. Call
// it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if ownBuild != "" {
		_ = os.RemoveAll(ownBuild)
	}
	os.Exit(code)
}
