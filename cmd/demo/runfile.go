package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// runFile is run.json. A pid of 0 is a part that is down at the moment, or one
// that was given and is not ours.
type runFile struct {
	URL           string         `json:"url"`
	MailboxURL    string         `json:"mailbox_url"`
	SimulatorURL  string         `json:"simulator_url"`
	DevURL        string         `json:"dev_url,omitempty"`
	PostgresDSN   string         `json:"postgres_dsn"`
	SimulatorDSN  string         `json:"simulator_dsn"`
	AMQPURL       string         `json:"amqp_url"`
	WebhookSecret string         `json:"webhook_secret"`
	OperatorToken string         `json:"operator_token"`
	Pids          map[string]int `json:"pids"`
}

func runFilePath(dir string) string { return filepath.Join(dir, "run.json") }

// write replaces the file in one step: a reader sees the old or the new one.
func (r runFile) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return replaceFile(runFilePath(dir), append(text, '\n'))
}

func replaceFile(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil { // it holds secrets
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func readRunFile(dir string) (r runFile, err error) {
	text, err := os.ReadFile(runFilePath(dir))
	if err != nil {
		return r, fmt.Errorf("run.json: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("run.json: %w", err)
	}
	return r, nil
}

func removeRunFile(dir string) error {
	if err := os.Remove(runFilePath(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("run.json: %w", err)
	}
	return nil
}
