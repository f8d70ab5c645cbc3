package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/chaos"
)

// byHand is a refund that was made at the provider at second began and is booked.
func byHand(truth chaos.Truth, began int, amount int64) chaos.Truth {
	truth.Refunds["pay_1"] = append(truth.Refunds["pay_1"], chaos.RefundTruth{
		Name: "ref_hand", Payment: "pay_1", Status: "succeeded", Amount: amount, External: "re_1",
	})
	truth.Hand = map[string]chaos.HandRefund{"re_1": {Payment: "pay_1", Amount: amount, Began: time.Duration(began) * time.Second}}
	return truth
}

func TestARefundMadeAtTheProviderTakesItsPartOfAPayment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		truth chaos.Truth
		log   []chaos.Entry
	}{
		"it alone":                          {byHand(booked(), 1, 100), nil},
		"a part, and then ours of the rest": {byHand(booked(gone("k", 60)), 0, 40), []chaos.Entry{back(2, 3, "k", 0, 202, 60)}},
		"ours was refused after it":         {byHand(booked(), 0, 100), []chaos.Entry{back(2, 3, "k", 0, 422, 0)}},
		"ours was accepted beside it, and failed": {
			byHand(booked(failed("k", 100)), 1, 100), []chaos.Entry{back(0, 3, "k", 0, 202, 100)},
		},
	} {
		require.Empty(t, refunds(c.truth, c.log...), name)
	}
	for name, c := range map[string]struct {
		truth chaos.Truth
		log   []chaos.Entry
	}{
		"more than was captured":                {byHand(booked(gone("k", 100)), 0, 1), []chaos.Entry{back(2, 3, "k", 100, 202, 100)}},
		"ours was refused before it was made":   {byHand(booked(), 5, 100), []chaos.Entry{back(2, 3, "k", 100, 422, 0)}},
		"ours took what was left before a hand": {byHand(booked(gone("k", 60)), 5, 40), []chaos.Entry{back(2, 3, "k", 0, 202, 60)}},
	} {
		require.NotEmpty(t, refunds(c.truth, c.log...), name)
	}
}

func TestAKeyThatWasForgottenIsAnotherKeyToTheChecks(t *testing.T) {
	t.Parallel()
	first := chaos.Entry{Operation: "refund", Merchant: "m", Payment: "pay_1", Key: "k", Status: 202, Body: "one", Start: 1, End: 2}
	second := chaos.Entry{Operation: "refund", Merchant: "m", Payment: "pay_1", Key: "k", Status: 422, Problem: "refund-exceeds-captured", Body: "two", Start: 3, End: 4}
	require.NotEmpty(t, chaos.ReplayIdentical([]chaos.Entry{first, second}), "under one name it is a contradiction")
	second.Key, second.Wire = "k~2", "k"
	require.Empty(t, chaos.ReplayIdentical([]chaos.Entry{first, second}))
}

func TestATicketThatWasLetInMustBeUsed(t *testing.T) {
	t.Parallel()
	log := []chaos.Entry{{Operation: "check-in", Ticket: "tkt_1", Status: 200}, {Operation: "check-in", Ticket: "tkt_2", Status: 409}}
	require.Empty(t, chaos.NoEarly2xx(log, chaos.Truth{Used: map[string]bool{"tkt_1": true}}))
	require.NotEmpty(t, chaos.NoEarly2xx(log, chaos.Truth{Used: map[string]bool{"tkt_2": true}}))
}

func TestEachOtherDoorIsInTheShortestCampaignAndManyTimesInALongOne(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{50 * time.Second, 10 * time.Minute} {
		for seed := range uint64(20) {
			least := 1
			if length > time.Minute {
				least = 2
			}
			times := map[string]int{}
			for _, step := range chaos.Plan(seed, length, points, actions) {
				times[chaos.DoorOf(step)]++
				require.LessOrEqual(t, step.At, length)
			}
			for _, door := range chaos.Doors() {
				require.GreaterOrEqual(t, times[door], least, "%s in %s", door, length)
			}
		}
	}
}
