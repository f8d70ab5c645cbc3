//go:build !linux

package devstack

import "os"

func scratchPlace() string { return os.TempDir() }
