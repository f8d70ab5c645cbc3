package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// report is a line's file: what was seen, and on what.
type report struct {
	About  description `json:"about"`
	Result result      `json:"result"`
}

// write leaves three files of a line: numbers, table and picture.
func write(dir string, r report, table string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := drawSVG(&picture, r.Result); err != nil {
		return fmt.Errorf("draw %s: %w", r.Result.Name, err)
	}
	for suffix, content := range map[string][]byte{
		".json": append(text, '\n'),
		".txt":  []byte(r.About.headline() + "\n\n" + table + "\n"),
		".svg":  picture.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, r.Result.Name+suffix), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
