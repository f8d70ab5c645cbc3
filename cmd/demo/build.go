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
	"payonce/internal/lab/program"
)

// build makes the page and then the binaries, which embed it. With warm caches
// it takes about a second.
func build(ctx context.Context, cfg config, say func(string)) (bin string, err error) {
	if cfg.Bin != "" {
		return filepath.Abs(cfg.Bin)
	}
	if made := program.Made(); made != "" {
		return filepath.Abs(made)
	}
	root, err := program.Root()
	if err != nil {
		return "", fmt.Errorf("%w, or give --bin", err)
	}
	began := time.Now()
	if err := buildPage(ctx, cfg, root, say); err != nil {
		return "", err
	}
	bin = filepath.Join(cfg.DataDir, "bin")
	err = program.Builds{Dir: bin, Tags: "lab", Log: filepath.Join(cfg.DataDir, "log", "build.log")}.Make(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; or give --bin", err)
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
