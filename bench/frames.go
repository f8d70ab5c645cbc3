package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// framesLine compares the Shop page that shows two hundred attempts, and draws
// ten more, with the same page before anything happened.
func framesLine(h *house) line {
	f := &frames{house: h}
	return line{
		Name: "frames", Title: "Frames a second of the Shop page, 200 attempts on screen", Unit: "frames",
		Notes: []string{
			"One headless Chromium, 1280 × 800, without a graphics card: both pages are drawn by the processors that also run the shop. The page that is not counted stands in the background.",
		},
		Contenders: []contender{
			{Name: "empty", Title: "nothing has happened yet", Slice: f.count("empty")},
			{Name: "attempts", Title: "200 rows in the list, 10 attempts under way", Slice: f.count("busy")},
		},
		Ratios: []ratio{{Of: "attempts", To: "empty", Target: 0.8}},
		Open:   f.open,
	}
}

// frames is a demo and a browser that counts.
type frames struct {
	*house
	demo, browser *exec.Cmd
	ask           io.WriteCloser
	answers       *bufio.Scanner
}

const demoStart = 4 * time.Minute

func (f *frames) open(ctx context.Context) (end func() error, err error) {
	end = func() error { return errors.Join(f.stop(f.browser), f.stop(f.demo)) }
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	url, err := f.startDemo(ctx)
	if err != nil {
		return end, err
	}
	f.browser = exec.Command("node", "bench/frames.mjs", url) // ended by end, which waits for it
	f.browser.Dir, f.browser.Stderr = filepath.Join(f.root, "web"), os.Stderr
	if f.ask, err = f.browser.StdinPipe(); err != nil {
		return end, err
	}
	out, err := f.browser.StdoutPipe()
	if err != nil {
		return end, err
	}
	f.answers = bufio.NewScanner(out)
	if err := f.browser.Start(); err != nil {
		return end, fmt.Errorf("node: %w", err)
	}
	if answer, err := f.answer(); err != nil || answer != "ready" {
		return end, fmt.Errorf("the browser says %q: %w", answer, err)
	}
	return end, nil
}

func (f *frames) startDemo(ctx context.Context) (url string, err error) {
	program, dir := filepath.Join(f.cfg.Dir, "demo"), filepath.Join(f.cfg.Dir, "frames")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./cmd/demo")
	build.Dir = f.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the demo: %w\n%s", err, out)
	}
	f.demo = exec.Command(program, "--stop-with-parent", "--no-browser", "--data-dir", dir) // ended by end
	f.demo.Dir = f.root
	if err := f.demo.Start(); err != nil {
		return "", err
	}
	var run struct {
		URL string `json:"url"`
	}
	err = until(ctx, demoStart, func() (bool, error) {
		text, err := os.ReadFile(filepath.Join(dir, "run.json"))
		if err != nil {
			return false, nil //nolint:nilerr // it is not there yet
		}
		return true, json.Unmarshal(text, &run)
	})
	return run.URL, err
}

func (f *frames) stop(cmd *exec.Cmd) error {
	if cmd == nil || cmd.Process == nil {
		return nil
	}
	if cmd == f.browser {
		_ = f.ask.Close() // the end of its input is the end of its work
	} else if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

func (f *frames) answer() (string, error) {
	if !f.answers.Scan() {
		return "", errors.Join(errors.New("the browser has ended"), f.answers.Err())
	}
	return strings.TrimSpace(f.answers.Text()), nil
}

func (f *frames) count(page string) func(context.Context, *clock) error {
	return func(ctx context.Context, c *clock) error {
		c.start(ctx)
		if _, err := fmt.Fprintf(f.ask, "%s %f\n", page, c.length.Seconds()); err != nil {
			return err
		}
		answer, err := f.answer()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(answer)
		c.stop(n)
		return err
	}
}
