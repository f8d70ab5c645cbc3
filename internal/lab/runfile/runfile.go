// Package runfile is run.json: where a running demo and its parts can be
// reached. The demo writes it into its data folder when everything is ready,
// writes it anew whenever a part was started again, and removes it at its end;
// a demo that was killed leaves it behind.
package runfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Folder is the data folder's usual name.
const Folder = ".payonce"

// File is run.json. A part that was given and is not ours has no pid; one that is
// down at the moment has that of its last process, and never 0: kill(0) ends
// whoever sends it.
type File struct {
	URL string `json:"url"`
	// URLs are all apis of a cluster, URL first.
	URLs         []string `json:"urls,omitempty"`
	MailboxURL   string   `json:"mailbox_url"`
	SimulatorURL string   `json:"simulator_url"`
	DevURL       string   `json:"dev_url,omitempty"`
	// PostgresDSN is the owner's: who has it may write rows and break tables. ProgramDSN
	// is what the shop's programs have, and ReaderDSN what lessons have.
	PostgresDSN   string `json:"postgres_dsn"`
	ProgramDSN    string `json:"program_dsn"`
	ReaderDSN     string `json:"reader_dsn"`
	SimulatorDSN  string `json:"simulator_dsn"`
	AMQPURL       string `json:"amqp_url"`
	WebhookSecret string `json:"webhook_secret"`
	OperatorToken string `json:"operator_token"`
	// AdminURLs serve /healthz, /readyz and /metrics of each process.
	AdminURLs map[string]string `json:"admin_urls"`
	Pids      map[string]int    `json:"pids"`
}

// Path is where the file is in a data folder.
func Path(dir string) string { return filepath.Join(dir, "run.json") }

// Write replaces the file in one step: a reader sees the old or the new one.
func (f File) Write(dir string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return Replace(Path(dir), append(text, '\n'))
}

// Replace puts text at path in one step, for its owner's eyes only: what is
// kept beside run.json holds secrets too.
func Replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Read reads the file of a data folder; without one the error is
// [os.ErrNotExist].
func Read(dir string) (f File, err error) {
	text, err := os.ReadFile(Path(dir))
	if err != nil {
		return f, fmt.Errorf("run.json: %w", err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("run.json: %w", err)
	}
	return f, nil
}

// Remove removes the file; without one it does nothing.
func Remove(dir string) error {
	if err := os.Remove(Path(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("run.json: %w", err)
	}
	return nil
}
