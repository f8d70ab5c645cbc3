package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"payonce/internal/lab/runfile"
)

// secrets are made up once per data folder: with another Secret the sandboxes
// of yesterday's visitors would be lost.
type secrets struct {
	Secret        string `json:"secret"`
	WebhookSecret string `json:"webhook_secret"`
	OperatorToken string `json:"operator_token"`
}

func keptSecrets(dir string) (s secrets, err error) {
	file := filepath.Join(dir, "secrets.json")
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &s); err != nil {
			return s, fmt.Errorf("%s: %w; remove it to have new ones made", file, err)
		}
		return s, nil
	case !errors.Is(err, os.ErrNotExist):
		return s, fmt.Errorf("secrets: %w", err)
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return s, fmt.Errorf("secrets: %w", err)
	}
	s = secrets{
		Secret:        rand.Text() + rand.Text(),
		WebhookSecret: "whsec_" + base64.StdEncoding.EncodeToString(key),
		OperatorToken: "op_" + rand.Text(),
	}
	if text, err = json.MarshalIndent(s, "", "  "); err != nil {
		return s, fmt.Errorf("secrets: %w", err)
	}
	return s, runfile.Replace(file, append(text, '\n'))
}
