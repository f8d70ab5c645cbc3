//go:build lab

package main

import (
	"errors"

	"payonce/internal/platform/config"
	"payonce/internal/platform/fault"
)

// armFaults arms the crash points that a demo or a test asks for.
func armFaults(cfg config.Base) error {
	if cfg.Mode == config.Production {
		return errors.New("this is a lab build; PAYONCE_MODE=production needs a default build")
	}
	return fault.FromEnv(cfg.Faults)
}
