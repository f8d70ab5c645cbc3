package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/chaos"
)

// back is a refund that was asked for from start to end; asked 0 is what is left.
func back(start, end int, key string, asked int64, status int, amount int64) chaos.Entry {
	e := chaos.Entry{
		Operation: "refund", Merchant: "m", Payment: "pay_1", Key: key, Status: status, Asked: asked,
		Start: time.Duration(start) * time.Second, End: time.Duration(end) * time.Second,
	}
	switch status {
	case 202:
		e.Amount, e.Refund, e.Body = amount, "ref_"+key, "accepted "+key
	case 422:
		e.Problem = "refund-exceeds-captured"
	}
	return e
}

// booked is a payment of 100 with its refunds, name and amount; a negative amount
// is of a refund that failed.
func booked(refunds ...chaos.RefundTruth) chaos.Truth {
	return chaos.Truth{
		Payments: map[string]chaos.PaymentTruth{"pay_1": {Status: "captured", Charge: "ch_1", Attempts: 1, Amount: 100}},
		Refunds:  map[string][]chaos.RefundTruth{"pay_1": refunds},
	}
}

func gone(key string, amount int64) chaos.RefundTruth {
	return chaos.RefundTruth{Name: "ref_" + key, Payment: "pay_1", Status: "succeeded", Amount: amount}
}

func failed(key string, amount int64) chaos.RefundTruth {
	return chaos.RefundTruth{Name: "ref_" + key, Payment: "pay_1", Status: "failed", Amount: amount}
}

func refunds(truth chaos.Truth, log ...chaos.Entry) []string {
	violations, _ := chaos.Linearizable(log, truth, time.Minute)
	return violations
}

func TestRefundsThatASequentialPaymentCanGive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		truth chaos.Truth
		log   []chaos.Entry
	}{
		"all of it":                         {booked(gone("k", 100)), []chaos.Entry{back(0, 1, "k", 0, 202, 100)}},
		"a half, then what is left":         {booked(gone("k", 50), gone("l", 50)), []chaos.Entry{back(0, 1, "k", 50, 202, 50), back(2, 3, "l", 0, 202, 50)}},
		"two rivals for all":                {booked(gone("k", 100)), []chaos.Entry{back(0, 2, "k", 100, 202, 100), back(0, 2, "l", 100, 422, 0)}},
		"a double-click":                    {booked(gone("k", 60)), []chaos.Entry{back(0, 2, "k", 60, 202, 60), back(0, 2, "k", 60, 202, 60)}},
		"an answer that was lost, and came": {booked(gone("k", 60)), []chaos.Entry{back(0, 1, "k", 60, 0, 0), back(1, 2, "k", 60, 202, 60)}},
		"an answer that was lost for good":  {booked(gone("k", 60)), []chaos.Entry{back(0, 1, "k", 60, 0, 0)}},
		"nothing came of it":                {booked(), []chaos.Entry{back(0, 1, "k", 60, 503, 0)}},
		"refused by the provider, again":    {booked(failed("k", 100), gone("l", 100)), []chaos.Entry{back(0, 1, "k", 0, 202, 100), back(5, 6, "l", 0, 202, 100)}},
	} {
		require.Empty(t, refunds(c.truth, c.log...), name)
	}
}

func TestRefundsThatNoSequentialPaymentGives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		truth chaos.Truth
		log   []chaos.Entry
	}{
		"more than was captured":           {booked(gone("k", 60), gone("l", 60)), []chaos.Entry{back(0, 1, "k", 60, 202, 60), back(0, 1, "l", 60, 202, 60)}},
		"refused although it was free":     {booked(), []chaos.Entry{back(0, 1, "k", 60, 422, 0)}},
		"accepted and not there":           {booked(), []chaos.Entry{back(0, 1, "k", 60, 202, 60)}},
		"one click, two refunds":           {booked(gone("k", 30), gone("k2", 30)), []chaos.Entry{back(0, 1, "k", 30, 202, 30)}},
		"another amount than was asked":    {booked(gone("k", 70)), []chaos.Entry{back(0, 1, "k", 60, 202, 70)}},
		"what is left, and it is too much": {booked(gone("k", 50), gone("l", 100)), []chaos.Entry{back(0, 1, "k", 50, 202, 50), back(2, 3, "l", 0, 202, 100)}},
	} {
		require.Equal(t, []string{"pay_1, refunds"}, refunds(c.truth, c.log...), name)
	}
}

func TestAnAcknowledgedRefundThatIsNotThereIsEarly(t *testing.T) {
	t.Parallel()
	log := []chaos.Entry{back(0, 1, "k", 60, 202, 60)}
	require.Empty(t, chaos.NoEarly2xx(log, booked(gone("k", 60))))
	require.Len(t, chaos.NoEarly2xx(log, booked(gone("l", 60))), 1)
}

func TestARefundsStoredAnswerStaysWhatItWas(t *testing.T) {
	t.Parallel()
	accepted := back(0, 1, "k", 60, 202, 60)
	require.Empty(t, chaos.ReplayIdentical([]chaos.Entry{accepted, with(accepted, func(e *chaos.Entry) { e.Start, e.End = 2e9, 3e9 })}))
	require.Len(t, chaos.ReplayIdentical([]chaos.Entry{accepted, with(accepted, func(e *chaos.Entry) { e.Start, e.End, e.Body = 2e9, 3e9, "another" })}), 1)
	require.Len(t, chaos.ReplayIdentical([]chaos.Entry{accepted, back(2, 3, "k", 60, 422, 0)}), 1)
}
