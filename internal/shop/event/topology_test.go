package event

import (
	"slices"
	"testing"

	"payonce/internal/platform/patterns"
	"payonce/once/retry"
)

func TestEveryEventOfTheCatalogueHasAtLeastOneQueueBound(t *testing.T) {
	t.Parallel()
	bindings := Topology(retry.Demo).Bindings
	kinds := append(replies(CommandHoldRefund, CommandReleaseRefund, CommandVoidTickets, CommandReinstateTickets, CommandRefund, CommandSettleRefund),
		TypeOrderPlaced, TypePaymentCaptured, TypePaymentDeclined, TypeTicketsIssued,
		TypeProviderChargeSucceeded, TypeProviderChargeFailed, TypeProviderRefundSucceeded, TypeProviderRefundFailed, TypeRefundRequested, TypeRefundCompleted, TypeRefundFailed, TypeRefundReservationClosed,
		CommandHoldRefund, CommandReleaseRefund, CommandVoidTickets, CommandReinstateTickets, CommandRefund, CommandSettleRefund)
	for _, kind := range kinds {
		bound := 0
		for _, b := range bindings {
			if b.Exchange == patterns.Relays.Exchange && b.Key == kind {
				bound++
			}
		}
		if bound == 0 {
			t.Errorf("%s has no queue: the relay would have it returned", kind)
		}
	}
}

func TestOnlyTheJournalMayDropMessages(t *testing.T) {
	t.Parallel()
	for _, q := range Topology(retry.Production).Queues {
		if dropsHead := q.Args["x-overflow"] == "drop-head"; dropsHead != (q.Name == ConsumerJournal) {
			t.Errorf("queue %s has overflow %v", q.Name, q.Args["x-overflow"])
		}
	}
}

func TestTypesOfListsWhatAConsumerIsBoundFor(t *testing.T) {
	t.Parallel()
	if got := TypesOf(ConsumerEmail); !slices.Equal(got, []string{TypePaymentCaptured, TypePaymentDeclined, TypeRefundCompleted, TypeRefundFailed, TypeRefundRecorded}) {
		t.Errorf("email is bound for %v", got)
	}
	if got := TypesOf("nobody"); got != nil {
		t.Errorf("nobody is bound for %v", got)
	}
}
