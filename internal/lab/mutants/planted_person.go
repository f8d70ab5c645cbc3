package main

// ofPersons are bugs of what a person sees and may decide, and of what the audit
// believes of it.
var ofPersons = []mutant{
	{
		name: "no-day-asked-for", breaks: "a charge is made whose outcome finds no partition for its day",
		file: "internal/shop/checkout/claim.go",
		old:  "     AND days_are_there()\n",
		new:  "",
		pkg:  "./internal/edge/httpapi", test: "TestWithoutAPartitionForTodayOrTomorrowNothingIsChargedAndTheAlertNamesIt",
	},
	{
		name: "first-attempt-without-asking", breaks: "a payment for which the provider told of a charge is charged again",
		file: "internal/shop/checkout/claim.go",
		old:  "     AND unknown_charge_at IS NULL\n",
		new:  "",
		pkg:  "./internal/shop/checkout", test: "TestAFirstAttemptAsksWhenTheProviderToldOfAChargeThatNoAttemptAskedFor",
	},
	{
		name: "what-went-back-is-nothing", breaks: "a charge is captured while it is unknown whether it went back",
		file: "internal/shop/checkout/recover.go",
		old:  "	return err == nil && provider.Hold(c, refunds).Alive(), err",
		new:  "	return provider.Hold(c, refunds).Alive(), nil",
		pkg:  "./internal/shop/checkout", test: "TestAChargeIsNotCapturedWhileItIsUnknownWhatWentBackOfIt",
	},
	{
		name: "replay-to-a-queue-that-is-gone", breaks: "a person's replay waits for a queue that is not there, and the letter counts as replayed",
		file: "internal/pattern/outbox/replay.go",
		old:  "	if !takes {",
		new:  "	if !takes && queue == \"\" {",
		pkg:  "./internal/edge/httpapi", test: "TestAReplayToAQueueThatIsGoneIsRefusedAndOneThatWaitsIsTakenBack",
	},
	{
		name: "resend-to-a-queue-that-is-gone", breaks: "events that an operator sends again wait for a queue that is not there",
		file: "internal/edge/delivery/resend.go",
		old:  "		if err := outbox.Takes(ctx, tx, a.Consumer); err != nil {",
		new:  "		if err := outbox.Takes(ctx, tx, a.Consumer); err != nil && a.Consumer == \"\" {",
		pkg:  "./internal/edge/delivery", test: "TestAConsumersLostEventsAreSentAgainToItAloneUnderTheirOwnIds",
	},
	{
		name: "sent-again-for-ever", breaks: "what an operator takes back is sent all the same",
		file: "internal/pattern/outbox/replay.go",
		old:  "DELETE FROM outbox_events WHERE row_id = ANY ($1::uuid[]) AND destination = $2 AND published_at IS NULL",
		new:  "UPDATE outbox_events SET replay_no = replay_no WHERE row_id = ANY ($1::uuid[]) AND destination = $2 AND published_at IS NULL",
		pkg:  "./internal/edge/delivery", test: "TestWhatWasSentAgainIsTakenBackAsLongAsItWaits",
	},
	{
		name: "lost-events-unsaid", breaks: "an event that the broker confirmed and lost is missed by nothing",
		file: "internal/edge/delivery/watch.go",
		old:  "	if len(due) == 0 {",
		new:  "	if len(due) >= 0 {",
		pkg:  "./internal/edge/delivery", test: "TestAPublishedEventThatWasNotAppliedInTimeIsAnAlertUntilItIs",
	},
	{
		name: "behind-is-lost", breaks: "a consumer that is merely behind is an alert about lost events",
		file: "internal/edge/delivery/watch.go",
		old:  "interval '1 second') IS NOT TRUE",
		new:  "interval '1 second') IS NOT TRUE OR true",
		pkg:  "./internal/edge/delivery", test: "TestAConsumerThatIsMerelyBehindIsNoAlertUntilItHasPassedTheEventOrStops",
	},
	{
		name: "passed-is-behind", breaks: "an event that a working consumer has passed is never missed",
		file: "internal/edge/delivery/watch.go",
		old:  "AND p.reached <= m.published_at",
		new:  "AND '-infinity' <= m.published_at",
		pkg:  "./internal/edge/delivery", test: "TestAConsumerThatIsMerelyBehindIsNoAlertUntilItHasPassedTheEventOrStops",
	},
	{
		name: "alert-with-its-first-facts", breaks: "an open alert says what was so when it was raised",
		file: "internal/platform/alert/alert.go",
		old:  "k.put(ctx, tx, keepSQL, ",
		new:  "k.put(ctx, tx, raiseSQL, ",
		pkg:  "./internal/edge/delivery", test: "TestAPublishedEventThatWasNotAppliedInTimeIsAnAlertUntilItIs",
	},
	{
		name: "alert-outlives-its-trouble", breaks: "an alert stays open when what it is about has ended",
		file: "internal/platform/alert/alert.go",
		old:  "clock_timestamp() WHERE state = 'open' AND kind = $1 AND `+condition",
		new:  "clock_timestamp() WHERE state = 'resolved' AND kind = $1 AND `+condition",
		pkg:  "./internal/edge/delivery", test: "TestAPublishedEventThatWasNotAppliedInTimeIsAnAlertUntilItIs",
	},
	{
		name: "decision-at-a-persons-word", breaks: "a decision counts that the provider contradicts",
		file: "internal/pattern/saga/decision.go",
		old:  "		if d.Steps[s.Position].look == nil {",
		new:  "		if d.Steps[s.Position].look == nil || s.Decision.Pending() {",
		pkg:  "./internal/edge/audit", test: "TestADecisionIsFinalWhereverTheCommandIsAndIsRefusedWhenTheProviderSaysOtherwise",
	},
	{
		name: "call-without-an-end", breaks: "a call does not say until when it may be under way, so a decision does not wait for it",
		file: "internal/pattern/saga/participant.go",
		old:  "(lasts * o.Within).Seconds()",
		new:  "(-lasts * o.Within).Seconds()",
		pkg:  "./internal/pattern/saga", test: "TestACallThatMayBeUnderWayIsWaitedForBeforeTheOutsideIsAsked",
	},
	{
		name: "closed-alert-excuses", breaks: "a difference is held by an alert that is resolved",
		file: "internal/edge/audit/excuse.go",
		old:  "FROM alerts a WHERE a.state = 'open' AND a.subject = s.name",
		new:  "FROM alerts a WHERE a.subject = s.name",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "any-stray-excused", breaks: "the alert about one charge of no payment holds every one",
		file: "internal/edge/audit/world.go",
		old:  "chargePart(c.Charge, c.LeftMinor()).namedBy(named)",
		new:  "len(named) > 0",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "any-saga-excuses", breaks: "the alert of one stuck saga holds every saga",
		file: "internal/edge/audit/refunds.go",
		old:  "a.kind = 'saga_stuck' AND a.subject = 'saga_' || replace(r.saga_id::text, '-', '') AND a.state = 'open'",
		new:  "a.kind = 'saga_stuck' AND a.state = 'open'",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "any-used-ticket-excuses", breaks: "the alert about one order's used ticket excuses every order's",
		file: "internal/edge/audit/sql.go",
		old:  "a.kind = 'ticket_used' AND a.subject = 'ord_' || replace(s.order_id::text, '-', '')",
		new:  "a.kind = 'ticket_used'",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "letter-closed-by-no-person", breaks: "an event counts as given up that no person gave up",
		file: "internal/edge/delivery/watch.go",
		old:  "OR d.state = 'discarded' AND EXISTS (SELECT FROM dead_letter_decisions w WHERE w.letter_id = d.id AND w.action = 'discard')",
		new:  "OR d.state = 'discarded'",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "hold-of-no-refund", breaks: "the audit is green over money that is held for no refund",
		file: "internal/edge/audit/sql.go",
		old:  "t.kind IN ('refund_hold', 'refund_settle', 'refund_release', 'refund_external')",
		new:  "t.kind = 'refund_external'",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
	{
		name: "hold-of-another-amount", breaks: "the audit is green over what a release or a settlement left of a hold",
		file: "internal/edge/audit/sql.go",
		old:  "AND a.code = 'refunds_held'\n WHERE NOT s.young",
		new:  "AND a.code = 'refunds_held'\n WHERE s.young",
		pkg:  "./internal/edge/audit", test: theMatrix,
	},
}

// theMatrix is the test of docs/invariants.md.
const theMatrix = "TestEveryPlantedFaultTurnsExactlyItsInvariantsRed"
