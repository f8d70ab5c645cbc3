// Command table writes the kinds of alerts, and what ends each, into a page of the
// documentation, or prints them when the page is called -.
package main

import (
	"fmt"
	"os"

	"payonce/internal/edge/alerts"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: table PAGE.md | -")
	}
	if args[0] == "-" {
		_, err := fmt.Print(alerts.Table())
		return err
	}
	page, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	text, err := alerts.Write(string(page))
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], []byte(text), 0o644)
}
