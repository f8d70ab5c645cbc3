//go:build !unix

package devstack

import (
	"os"

	"payonce/internal/lab/devstack/proc"
)

func servant() (*proc.User, error) { return nil, ErrUnsupported }

func place(string, *proc.User, func(string)) (string, error) { return "", ErrUnsupported }

func own(string, *proc.User) error { return ErrUnsupported }

func ownedByUs(os.FileInfo) bool { return true }
