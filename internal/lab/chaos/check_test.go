package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/chaos"
)

// at is an attempt from start to end, in seconds, that got status and body.
func at(start, end int, key string, status int, body string) chaos.Entry {
	e := chaos.Entry{
		Operation: "capture", Merchant: "m", Payment: "pay_1", Key: key, Request: "{}", Status: status, Body: body,
		Start: time.Duration(start) * time.Second, End: time.Duration(end) * time.Second,
	}
	if status == 200 {
		e.Charge = "ch_1"
	}
	return e
}

func with(e chaos.Entry, change func(*chaos.Entry)) chaos.Entry {
	change(&e)
	return e
}

var captured = chaos.Truth{
	Payments: map[string]chaos.PaymentTruth{"pay_1": {Status: "captured", Charge: "ch_1", Attempts: 1}},
	Orders:   map[string]bool{"ord_1": true},
}

func truth(p chaos.PaymentTruth) chaos.Truth {
	return chaos.Truth{Payments: map[string]chaos.PaymentTruth{"pay_1": p}}
}

func TestAnAcknowledgementWithoutItsEffectIsFoundWhateverItIs(t *testing.T) {
	t.Parallel()
	order := chaos.Entry{Operation: "order", Status: 201, Order: "ord_1", Payment: "pay_1"}
	honest := []chaos.Entry{order, at(0, 1, "k", 202, ""), at(1, 2, "k", 200, "a"), at(2, 3, "k", 503, ""), at(3, 4, "k", 0, "")}
	require.Empty(t, chaos.NoEarly2xx(honest, captured))

	for name, lie := range map[string]struct {
		log   []chaos.Entry
		truth chaos.Truth
	}{
		"an order that is gone":        {[]chaos.Entry{with(order, func(e *chaos.Entry) { e.Order = "ord_2" })}, captured},
		"a payment that is gone":       {[]chaos.Entry{at(0, 1, "k", 200, "a")}, chaos.Truth{}},
		"a capture that is none":       {[]chaos.Entry{at(0, 1, "k", 200, "a")}, truth(chaos.PaymentTruth{Status: "declined", Attempts: 1})},
		"another charge":               {[]chaos.Entry{at(0, 1, "k", 200, "a")}, truth(chaos.PaymentTruth{Status: "captured", Charge: "ch_2", Attempts: 1})},
		"a doubt without its attempt":  {[]chaos.Entry{at(0, 1, "k", 202, "")}, truth(chaos.PaymentTruth{Status: "requires_capture"})},
		"a capture rolled back by now": {[]chaos.Entry{at(0, 1, "k", 200, "a")}, truth(chaos.PaymentTruth{Status: "requires_capture"})},
	} {
		require.Len(t, chaos.NoEarly2xx(lie.log, lie.truth), 1, name)
	}
}

func TestWhatMayFollowAStoredAnswer(t *testing.T) {
	t.Parallel()
	stored := at(1, 2, "k", 200, "a")
	reused := with(at(3, 4, "k", 422, ""), func(e *chaos.Entry) { e.Request, e.Problem = "{other}", "idempotency-key-reused" })
	for name, log := range map[string][]chaos.Entry{
		"the same":                        {stored, at(3, 4, "k", 200, "a")},
		"what says nothing":               {stored, at(3, 4, "k", 503, ""), at(3, 4, "k", 429, ""), at(3, 9, "k", 0, "")},
		"a twin that was told to wait":    {at(0, 3, "k", 409, ""), stored, at(1, 3, "k", 202, "")},
		"another request":                 {stored, reused},
		"another key":                     {stored, at(3, 4, "other", 200, "b")},
		"the same key of somebody else":   {stored, with(at(3, 4, "k", 200, "b"), func(e *chaos.Entry) { e.Merchant = "n" })},
		"a decline under a key, for good": {at(1, 2, "k", 402, "no"), at(3, 4, "k", 402, "no")},
	} {
		require.Empty(t, chaos.ReplayIdentical(log), name)
	}
	for name, log := range map[string][]chaos.Entry{
		"another body":           {stored, at(3, 4, "k", 200, "b")},
		"another body of a twin": {stored, at(1, 2, "k", 200, "b")},
		"another outcome":        {stored, at(3, 4, "k", 402, "a")},
		"a doubt":                {stored, at(3, 4, "k", 202, "")},
		"in progress again":      {stored, at(3, 4, "k", 409, "")},
		"gone":                   {stored, at(3, 4, "k", 404, "")},
		"another request served": {stored, with(at(3, 4, "k", 200, "c"), func(e *chaos.Entry) { e.Request = "{other}" })},
	} {
		require.Len(t, chaos.ReplayIdentical(log), 1, name)
	}
}

func history(log ...chaos.Entry) []string {
	violations, _ := chaos.Linearizable(log, captured, time.Minute)
	return violations
}

func TestHistoriesThatASequentialPaymentCanHave(t *testing.T) {
	t.Parallel()
	for name, log := range map[string][]chaos.Entry{
		"one click":                           {at(0, 1, "k", 200, "a")},
		"a double-click":                      {at(0, 2, "k", 200, "a"), at(0, 2, "k", 200, "a")},
		"a lost answer, then the outcome":     {at(0, 1, "k", 0, ""), at(1, 2, "k", 503, ""), at(2, 3, "k", 202, ""), at(3, 4, "k", 200, "a")},
		"a lost answer and never again":       {at(0, 1, "k", 0, "")},
		"two keys, one charge":                {at(0, 1, "k", 200, "a"), at(1, 2, "l", 200, "b")},
		"a decline, another card":             {at(0, 1, "k", 402, "no"), at(1, 2, "l", 200, "a"), at(2, 3, "k", 402, "no")},
		"a twin that waited for the decline":  {at(0, 2, "k", 402, "no"), at(0, 5, "m", 402, "no too"), at(3, 4, "l", 200, "a")},
		"captured by an attempt nobody heard": {at(0, 1, "k", 0, ""), at(5, 6, "l", 200, "b")},
		"fifty timeouts under one key":        append(make([]chaos.Entry, 0, 51), fifty(at(0, 1, "k", 0, ""), at(60, 61, "k", 200, "a"))...),
	} {
		require.Empty(t, history(log...), name)
	}
}

func fifty(e, last chaos.Entry) (log []chaos.Entry) {
	for range 50 {
		log = append(log, e)
		e.Start, e.End = e.Start+time.Second, e.End+time.Second
	}
	return append(log, last)
}

func TestHistoriesThatNoSequentialPaymentHas(t *testing.T) {
	t.Parallel()
	second := with(at(2, 3, "l", 200, "b"), func(e *chaos.Entry) { e.Charge = "ch_2" })
	for name, log := range map[string][]chaos.Entry{
		"two charges":                           {at(0, 1, "k", 200, "a"), second},
		"a decline after the capture":           {at(0, 1, "k", 200, "a"), at(2, 3, "l", 402, "no")},
		"one key, two outcomes":                 {at(0, 1, "k", 402, "no"), at(2, 3, "k", 200, "a")},
		"one key, two bodies":                   {at(0, 1, "k", 200, "a"), at(2, 3, "k", 200, "b")},
		"a late decline of a twin":              {at(0, 2, "k", 402, "no"), at(3, 4, "l", 200, "a"), at(5, 6, "m", 402, "no too")},
		"captured at the end, and nobody asked": {at(0, 1, "k", 402, "no")},
		"another charge than the truth's":       {with(at(0, 1, "k", 200, "a"), func(e *chaos.Entry) { e.Charge = "ch_9" })},
	} {
		require.Equal(t, []string{"pay_1, captures"}, history(log...), name)
	}
}

func TestACaptureThatVanishedIsNoSequentialHistory(t *testing.T) {
	t.Parallel()
	violations, undecided := chaos.Linearizable([]chaos.Entry{at(0, 1, "k", 200, "a")}, truth(chaos.PaymentTruth{Status: "declined"}), time.Minute)
	require.Equal(t, []string{"pay_1, captures"}, violations)
	require.Empty(t, undecided)
}

func TestEachEventGetsItsVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event chaos.EventTruth
		want  chaos.Verdict
	}{
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 3, Copies: 1}, chaos.OK},
		{chaos.EventTruth{Published: true, Copies: 1}, chaos.OK},
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 3, Copies: 2}, chaos.Duplicated},
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 3, Copies: 1, Recovered: true}, chaos.Recovered},
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 3, Copies: 1, Dead: 1}, chaos.Recovered},
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 2, Copies: 1, Dead: 1, Open: 1}, chaos.Unexpected},
		{chaos.EventTruth{Published: true, Owed: 3, Applied: 2, Copies: 1}, chaos.Lost},
		{chaos.EventTruth{Published: true, Copies: 0}, chaos.Lost},
		{chaos.EventTruth{Owed: 3, Applied: 3, Copies: 1}, chaos.Lost},
	} {
		require.Equal(t, c.want, chaos.Judge(c.event), "%+v", c.event)
	}
}
