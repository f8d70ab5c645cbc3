package main

var mutants = []mutant{
	{
		name: "no-inbox-insert", breaks: "a redelivered event is applied again",
		file: "internal/pattern/inbox/inbox.go",
		old: `INSERT INTO consumer_inbox (consumer, event_id)
SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id`,
		new: `SELECT id FROM unnest($2::uuid[]) AS id WHERE $1 <> '' ORDER BY id`,
		pkg: "./internal/pattern/inbox", test: "TestTheSmallestConsumerKeepsThePromise",
	},
	{
		name: "unconditional-finalise", breaks: "a holder that slept through its lease overwrites the truth",
		file: "internal/shop/checkout/finalise.go",
		old: `AND a.fence = $3::bigint
     AND a.status IN ('sending', 'in_doubt') AND p.status IN ('capturing', 'in_doubt')`,
		new: `AND $3::bigint > 0`,
		pkg: "./internal/shop/checkout", test: "TestASleeperThatWakesAfterItsLeaseWasTakenFinishesNothing",
	},
	{
		name: "no-unique-claim", breaks: "one key claims two payments",
		file: "internal/pattern/idempotency/fold.go",
		old:  "  FROM %s`, p[0], p[1]",
		new:  "  FROM %s ON CONFLICT DO NOTHING`, p[0], p[1]",
		pkg:  "./internal/shop/checkout", test: "TestOneKeySentToTwoPaymentsAtOnceLeavesOneUntouched",
	},
	{
		name: "no-confirm-wait", breaks: "an event counts as published that no broker has",
		file: "internal/platform/rabbit/publisher.go",
		old: `	if err == nil {
		return nil
	}
	if o.take(tag) == nil {`,
		new: `	if err == nil {
		if waiting := o.take(tag); waiting != nil {
			waiting.done(nil)
		}
		return nil
	}
	if o.take(tag) == nil {`,
		pkg: "./internal/platform/rabbit", test: "TestAConfirmThatNeverComesIsUnconfirmedAndTheWindowIsFreeAgain",
	},
	{
		name: "not-mandatory", breaks: "an event without a queue is confirmed and gone",
		file: "internal/platform/rabbit/publisher.go",
		old:  "m.Exchange, m.Key, true, false,",
		new:  "m.Exchange, m.Key, false, false,",
		pkg:  "./internal/pattern/outbox", test: "TestAnUnroutableEventStaysHoldsItsAggregateOnlyAndAlarmsOnce",
	},
	{
		name: "ack-before-commit", breaks: "a consumer that dies in its transaction loses the message",
		file: "internal/pattern/inbox/runner.go",
		old:  "	if len(together) > 0 {",
		new:  "	_ = rabbit.Ack(batch...)\n	if len(together) > 0 {",
		pkg:  "./internal/pattern/inbox", test: "TestTheSmallestConsumerKeepsThePromise",
	},
	{
		name: "client-cancels-finalise", breaks: "a client that hangs up cancels the commit after the charge",
		file: "internal/shop/checkout/finalise.go",
		old:  "ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)\n	defer cancel()\n	fault.Point(\"capture.before_finalise\"",
		new:  "ctx, cancel := context.WithTimeout(ctx, s.Finalise)\n	defer cancel()\n	fault.Point(\"capture.before_finalise\"",
		pkg:  "./internal/shop/checkout", test: "TestAClientThatHangsUpDoesNotCancelWhatWasCharged",
	},
	{
		name: "no-business-key", breaks: "a client with a fresh key for each retry is charged again",
		file: "internal/shop/checkout/claim.go",
		old:  "AND status IN ('requires_capture', 'declined')",
		new:  "AND status IN ('requires_capture', 'declined', 'captured')",
		pkg:  "./internal/shop/checkout", test: "TestAnotherKeyAfterTheCaptureMatchesTheBusinessKey",
	},
	{
		name: "recovery-by-reference", breaks: "attempt 1's decline answers for attempt 2's charge",
		file: "internal/shop/checkout/recover.go",
		old:  "s.Provider.ChargeByKey(asking, a.ProviderKey)",
		new:  `s.Provider.ChargeByKey(asking, "capture:"+PaymentRef(a.PaymentID)+":1")`,
		pkg:  "./internal/shop/checkout", test: "TestAttemptOneDeclinedAttemptTwoDeadTheSweeperFindsAttemptTwosOwnOutcome",
	},
}
