package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

var built = sync.OnceValues(build)

// build makes the programs and returns their folder.
func build() (string, error) {
	if dir := os.Getenv("PAYONCE_STAGE_BIN"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "payonce-stage-")
	if err != nil {
		return "", err
	}
	args := []string{"build", "-buildvcs=false", "-tags", "lab", "-o", dir + "/"}
	if overlay := os.Getenv("PAYONCE_STAGE_OVERLAY"); overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, "./cmd/api", "./cmd/relay", "./cmd/worker", "./cmd/simulator")...) //nolint:noctx // a build is seen through
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
}

// Main runs a package's tests and throws the programs away afterwards. Call it
// from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil && os.Getenv("PAYONCE_STAGE_BIN") == "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}
