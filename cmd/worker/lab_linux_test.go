//go:build lab

package main

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
)

// The one window that cannot be closed, hit on purpose.
func TestAWorkerKilledBetweenAcceptedAndSentIsSucceededAndTheMailboxShowsOneMailOfTwoDeliveries(t *testing.T) {
	s := open(t, devtest.DSN(t))
	t.Setenv("PAYONCE_FAULTS", "mailer.after_smtp_accept:kill")
	doomed := s.start()
	s.publish(s.captured())
	if err := doomed.Wait(); err == nil {
		t.Fatal("the worker survived its crash point")
	}
	if n := s.count(mailsSent); n != 0 {
		t.Fatalf("the mail was marked before the crash")
	}
	t.Setenv("PAYONCE_FAULTS", "")
	s.start()
	s.until("the mail is marked sent", func() bool { return s.count(mailsSent) == 1 })
	got := s.world.Messages("a@example.org")
	if len(got) != 1 || got[0].Deliveries != 2 {
		t.Errorf("want 1 message in 2 deliveries, got %+v", got)
	}
}
