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
	"time"

	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/program"
)

// framesLine compares the Shop page that shows two hundred attempts, and draws
// ten more, with the same page before anything happened.
func framesLine(h *house) line {
	f := &frames{house: h}
	return line{
		Name: "frames", Title: "Frames a second of the Shop page, 200 attempts on screen", Unit: "frames per second", Half: 2,
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
	demo    *program.Program
	browser *exec.Cmd
	ask     io.WriteCloser
	answers *bufio.Scanner
}

const demoStart = 4 * time.Minute

func (f *frames) open(ctx context.Context) (end func() error, err error) {
	end = func() error { return errors.Join(f.endBrowser(), f.endDemo()) }
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	url, err := f.startDemo(ctx)
	if err != nil {
		return end, err
	}
	f.browser = exec.Command("node", "bench/frames.mjs", url) //nolint:noctx // ended by end, which waits for it
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
	dir := filepath.Join(f.cfg.Dir, "frames")
	if err := (program.Builds{Dir: f.cfg.Dir, Programs: []string{"demo"}}).Make(ctx); err != nil {
		return "", err
	}
	f.demo = program.New(proc.Spec{
		Name: "demo", Path: filepath.Join(f.cfg.Dir, "demo"), Args: []string{"--stop-with-parent", "--no-browser", "--data-dir", dir},
		Dir: f.root, Env: os.Environ(), LogFile: filepath.Join(f.cfg.Dir, "demo.log"),
	}, "", "")
	if _, err := f.demo.Launch(); err != nil {
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

func (f *frames) endDemo() error {
	if f.demo == nil {
		return nil
	}
	return f.demo.Stop(40 * time.Second)
}

// endBrowser waits: the end of its input is the end of its work.
func (f *frames) endBrowser() error {
	if f.browser == nil || f.browser.Process == nil {
		return nil
	}
	_ = f.ask.Close()
	err := f.browser.Wait()
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
