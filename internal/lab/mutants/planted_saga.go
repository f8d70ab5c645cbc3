package main

// ofSagas are bugs of sagas and of the refund that is one.
var ofSagas = []mutant{
	{
		name: "refund-without-row-lock", breaks: "twenty refunds at once each see what is left, and give it back twenty times",
		file: "internal/shop/ledger/refund.go",
		old:  "WHERE business_key = $1 FOR UPDATE`",
		new:  "WHERE business_key = $1`",
		pkg:  "./internal/shop/ledger", test: "TestAHoldWaitsForAnotherOfItsPaymentThatIsNotCommittedYet",
	},
	{
		name: "undos-in-forward-order", breaks: "the hold is released while the tickets are still void",
		file: "internal/pattern/saga/machine.go",
		old:  "	for i := from; i >= 0; i-- {\n",
		new:  "	for i := range d.Steps {\n		if s.track(i, Undo) != nil {\n			continue\n		}\n",
		pkg:  "./internal/pattern/saga", test: "TestARefusalUpToThePivotUndoesWhatWasDoneInReverse",
	},
	{
		name: "late-do-accepted", breaks: "a command that arrives after its undo acts, and is never undone",
		file: "internal/pattern/saga/participant.go",
		old:  "		case k.Undid != nil: // 2\n			return refused",
		new:  "		case k.Undid != nil: // 2\n			return acts",
		pkg:  "./internal/pattern/saga", test: "TestTheSmallestParticipantKeepsThePromise",
	},
	{
		name: "undo-due-after-its-do", breaks: "a step that was sent and never answered is not undone",
		file: "internal/pattern/saga/machine.go",
		old:  "t.Status != Started && t.Status != Done",
		new:  "t.Status != Done",
		pkg:  "./internal/pattern/saga", test: "TestRandomOutcomesCopiesReorderingsAndCrashesEndAllDoneOrAllUndone",
	},
	{
		name: "deadline-that-assumes", breaks: "silence at the pivot is taken for a refusal, and the money goes back all the same",
		file: "internal/pattern/saga/machine.go",
		old:  "s.Position < d.pivot() && !patient { // 3",
		new:  "s.Position <= d.pivot() && !patient { // 3",
		pkg:  "./internal/pattern/saga", test: "TestADeadlineAtThePivotUndoesNothingAsksAndAlertsUntilThereIsAnAnswer",
	},
	{
		name: "a-decided-step-acts", breaks: "money goes back after a person decided that it does not",
		file: "internal/pattern/saga/participant.go",
		old:  "	if k.Decided { // 0",
		new:  "	if k.Decided && k.Replies < 0 { // 0",
		pkg:  "./internal/edge/audit", test: "TestADecisionIsFinalWhereverTheCommandIsAndIsRefusedWhenTheProviderSaysOtherwise",
	},
	{
		name: "a-decision-before-the-call-is-over", breaks: "a decision is taken while a call may still move the money",
		file: "internal/pattern/saga/decision.go",
		old:  "greatest(clock_timestamp(), $9::timestamptz)",
		new:  "least(clock_timestamp(), $9::timestamptz)",
		pkg:  "./internal/pattern/saga", test: "TestACallThatMayBeUnderWayIsWaitedForBeforeTheOutsideIsAsked",
	},
	{
		name: "a-decision-excuses-a-hold", breaks: "the audit is green over a hold that a decision left behind",
		file: "internal/edge/audit/refunds.go",
		old:  "     OR EXISTS (SELECT FROM ledger_transactions t",
		new:  "     OR g.resolved_by IS NULL AND EXISTS (SELECT FROM ledger_transactions t",
		pkg:  "./internal/edge/audit", test: "TestEveryPlantedFaultTurnsExactlyItsInvariantsRed",
	},
	{
		name: "no-version-guard", breaks: "two orchestrators that read the same saga both advance it",
		file: "internal/pattern/saga/store.go",
		old:  "finished_at = CASE WHEN $10::boolean THEN clock_timestamp() END, resolved_by = $11, resolved_why = $12\n WHERE id = $1 AND version = $2`",
		new:  "finished_at = CASE WHEN $10::boolean THEN clock_timestamp() END, resolved_by = $11, resolved_why = $12\n WHERE id = $1 AND version >= $2`",
		pkg:  "./internal/pattern/saga", test: "TestOfTwoThatReadTheSameSagaOneAdvancesIt",
	},
	{
		name: "void-on-what-may-come-back", breaks: "the tickets are void while the earlier refund may still be refused, and the money stays",
		file: "internal/shop/checkout/refund.go",
		old:  "	return minor - mine.Minor, !mine.Open, nil",
		new:  "	return 0, mine.Minor > 0, nil",
		pkg:  "./internal/edge/audit", test: "TestTwoHalvesEndWithTicketsVoidWhenNothingIsLeftAndOnlyThen",
	},
	{
		name: "signal-that-wakes-none", breaks: "a refund that waits learns of the earlier one's end at its deadline only",
		file: "internal/pattern/saga/orchestrator.go",
		old:  "AND merchant_id = $3 AND state = 'waiting' ORDER BY id`",
		new:  "AND merchant_id = $3 AND state = 'running' ORDER BY id`",
		pkg:  "./internal/pattern/saga", test: "TestAStepWaitsHoweverLongUntilASignalAfterWhichItsConditionIsDecided",
	},
	{
		name: "resend-without-asking", breaks: "a provider that forgot its keys refunds again",
		file: "internal/shop/refund/gateway.go",
		old:  "	if asked {",
		new:  "	if asked && c.Attempt > 1_000 {",
		pkg:  "./internal/shop/refund", test: "TestAnOldIntentIsAskedAboutBeforeItIsSentAgain",
	},
}
