//go:build prove

package main

import (
	"testing"

	"payonce/once/oncetest/killtest"
)

func TestAMemberIsActivatedOnceWhereverTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	killtest.Run(t, subject(t))
}
