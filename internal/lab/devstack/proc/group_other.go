//go:build !unix

package proc

import (
	"context"
	"errors"
)

// RunGroup needs process groups.
func RunGroup(context.Context, []string, []string) error {
	return errors.New("this system has no process groups")
}
