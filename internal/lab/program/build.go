package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"payonce/internal/lab/devstack/proc"
)

// Names are the programs of a house, in the order in which they are started:
// the outside world first, so that no part finds it missing.
var Names = []string{"simulator", "api", "relay", "worker"}

// The variables by which a runner hands its programs, or a planted bug, to
// everything below it.
const (
	BinVariable     = "PAYONCE_BIN"     // a folder with lab builds of all [Names]
	OverlayVariable = "PAYONCE_OVERLAY" // a file for go build -overlay
)

// ErrNoCompiler says that the programs cannot be built here.
var ErrNoCompiler = errors.New("the Go compiler is not installed: see https://go.dev/dl")

// Builds says what is built, and into which folder.
type Builds struct {
	Dir  string
	Tags string // comma-separated; "lab" has the laboratory in it
	// Programs are folders of cmd, or of Module; nil means [Names].
	Programs []string
	// Module is the folder of another module of the repository that has them; "" means the
	// shop's own.
	Module string
	// Log receives what the compiler says; the end of it is in the error too.
	Log string
}

// Made is the folder with lab builds that the environment names, "" when there
// is none or when a planted bug asks for a build of its own.
func Made() string {
	if os.Getenv(OverlayVariable) != "" {
		return ""
	}
	return os.Getenv(BinVariable)
}

// Make builds the programs; with warm caches that takes about a second.
func (b Builds) Make(ctx context.Context) error {
	root, err := Root()
	if err != nil {
		return err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return ErrNoCompiler
	}
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return fmt.Errorf("folder for programs: %w", err)
	}
	if b.Log == "" {
		b.Log = filepath.Join(b.Dir, "build.log")
	}
	// A checkout that belongs to another user has no version to stamp.
	args := []string{"build", "-buildvcs=false", "-tags", b.Tags, "-o", b.Dir + string(filepath.Separator)}
	if overlay := os.Getenv(OverlayVariable); overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	programs := b.Programs
	if programs == nil {
		programs = Names
	}
	for _, name := range programs {
		if b.Module == "" {
			name = "cmd/" + name
		}
		args = append(args, "./"+name)
	}
	return proc.Run(ctx, proc.Spec{Name: "go build", Path: compiler, Args: args, Env: os.Environ(), Dir: filepath.Join(root, b.Module), LogFile: b.Log})
}

// Root is the repository's folder, at or above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module payonce\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this works inside the repository of payonce only")
		}
		dir = parent
	}
}
