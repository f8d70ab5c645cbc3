//go:build prove

package main

import (
	"testing"
	"time"

	"payonce/once/oncetest/killtest"
)

func TestAMemberIsActivatedOnceWhereverTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	s := subject(t)
	s.Within = 40 * time.Second // a lease, and the sweep after it
	killtest.Run(t, s)
}
