//go:build !lab

package main

import (
	"errors"

	"payonce/internal/platform/config"
)

// armFaults refuses: a default build holds no crash points.
func armFaults(cfg config.Base) error {
	if cfg.Faults != "" {
		return errors.New("PAYONCE_FAULTS needs a lab build (go build -tags lab)")
	}
	return nil
}
