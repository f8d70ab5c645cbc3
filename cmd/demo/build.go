package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// build makes the page and then the binaries, which embed it. With warm caches
// it takes about a second.
func build(ctx context.Context, cfg config, say func(string)) (bin string, err error) {
	if cfg.Bin != "" {
		return filepath.Abs(cfg.Bin)
	}
	root, err := repository()
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := buildPage(ctx, cfg, root, say); err != nil {
		return "", err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the Go compiler is not installed: see https://go.dev/dl, or give --bin")
	}
	bin = filepath.Join(cfg.DataDir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("folder for binaries: %w", err)
	}
	err = proc.Run(ctx, proc.Spec{
		Name: "go build", Path: compiler, Env: os.Environ(), Dir: root,
		// A checkout that belongs to another user has no version to stamp.
		Args:    []string{"build", "-buildvcs=false", "-tags", "lab", "-o", bin + "/", "./cmd/api", "./cmd/relay", "./cmd/worker", "./cmd/simulator"},
		LogFile: filepath.Join(cfg.DataDir, "log", "build.log"),
	})
	if err != nil {
		return "", err
	}
	say(fmt.Sprintf("%-9s  done after %.1f s", "build", time.Since(began).Seconds()))
	return bin, nil
}

// buildPage runs the script that knows whether anything changed. Without Node
// the demo still works, with a placeholder for the page.
func buildPage(ctx context.Context, cfg config, root string, say func(string)) error {
	log := filepath.Join(cfg.DataDir, "log", "web.log")
	err := proc.Run(ctx, proc.Spec{
		Name: "scripts/web-build", Path: filepath.Join(root, "scripts", "web-build"),
		Env: os.Environ(), Dir: root, LogFile: log,
	})
	const nodeIsMissing = 3
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == nodeIsMissing {
		say("web        Node.js 20.19 or newer is missing: a placeholder is served instead of the page")
		return nil
	}
	return err
}
