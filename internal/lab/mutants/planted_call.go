package main

// ofCalls are bugs of an effect outside between two commits.
var ofCalls = []mutant{
	{
		name: "what-cannot-be-stored-is-not-said", breaks: "the effect is there, its outcome is never stored, and no person hears of it",
		file: "once/call/recover.go",
		old:  "		err = errors.Join(err, r.later(ctx, a, err))\n",
		new:  "",
		pkg:  "./once/call", test: "TestAnOutcomeThatCannotBeStoredIsAskedAboutBySchedulesAndRaisedForAPerson",
	},
	{
		name: "a-sleeper-writes", breaks: "a holder whose lease was taken over ends the attempt of the one who has it",
		file: "once/call/attempts.go",
		old:  "AND fence = @fence AND ended_at IS NULL`",
		new:  "AND @fence > 0 AND ended_at IS NULL`",
		pkg:  "./once/call", test: "TestTheProtocol/pq/a_sleeper_that_wakes_after_its_lease_gets_what_is_stored",
	},
	{
		name: "silence-is-no", breaks: "a question without an answer is taken for a key that the outside does not know",
		file: "once/call/recover.go",
		old:  "	case err != nil, known:\n",
		new:  "	case known:\n",
		pkg:  "./once/call", test: "TestTheProtocol/pq/a_call_without_an_answer_is_asked_about_and_never_taken_for_no",
	},
	{
		name: "not-sent-this-time", breaks: "a repetition that was not sent ends an attempt whose first request is on its way",
		file: "once/call/recover.go",
		old:  "		err = r.later(ctx, a, err)\n",
		new:  "		if errors.Is(err, ErrNotSent) {\n			return r.release(ctx, a, err)\n		}\n		err = r.later(ctx, a, err)\n",
		pkg:  "./once/call", test: "TestTheProtocol/pq/a_repetition_that_was_not_sent_says_nothing_of_the_first_request",
	},
	{
		name: "done-is-not-taken", breaks: "an effect that is there is had done once more",
		file: "once/schema/0009_calls.sql",
		old:  "WHERE status IN ('calling', 'in_doubt', 'done');",
		new:  "WHERE status IN ('calling', 'in_doubt');",
		pkg:  "./once/call", test: "TestTheProtocol/pq/twenty_who_begin_at_once_are_one_attempt_and_the_others_are_taken",
	},
	{
		name: "follows-in-a-transaction-of-its-own", breaks: "an outcome is stored whose consequences are not",
		file: "once/call/attempts.go",
		old:  "		return b.Ended(ctx, tx, after, o)\n	})\n	return after, changed, err\n",
		new:  "		return nil\n	})\n	if err == nil && changed && b.Ended != nil {\n		err = b.DB.InTx(ctx, func(tx once.Tx) error { return b.Ended(ctx, tx, after, o) })\n	}\n	return after, changed, err\n",
		pkg:  "./once/call", test: "TestTheProtocol/pq/an_outcome_and_what_follows_from_it_are_one_transaction",
	},
	{
		name: "person-against-the-outside", breaks: "an effect that is there is called abandoned because a person says so",
		file: "once/call/decide.go",
		old:  "	if o.Status != want {\n",
		new:  "	if o.Status == \"\" {\n",
		pkg:  "./once/call", test: "TestAPersonIsNotBelievedAgainstTheOutside",
	},
	{
		name: "released-and-not-given-back", breaks: "a client's key runs on beside a call that certainly did nothing",
		file: "once/call/attempts.go",
		old:  "		if err == nil && changed && b.Released != nil {\n",
		new:  "		if err != nil && changed && b.Released != nil {\n",
		pkg:  "./once/examples/foreign", test: "TestWhatWasCertainlyNotSentIsTakenBackAndTheSameKeyActivatesLater",
	},
	{
		name: "a-stranger-forgets", breaks: "a program that no payonce is in acts before it remembers, and is not found",
		file: "once/examples/subjects/pgx/main.go",
		old:  "		_, err = tx.Exec(ctx, `INSERT INTO effects VALUES ($1, 'order')`, id)\n",
		new:  "		_, err = pool.Exec(ctx, `INSERT INTO effects VALUES ($1, 'order')`, id)\n",
		pkg:  "./once/examples/subjects/pgx", test: "TestAServiceOnPgxHasEachEffectOnceWhereverItIsKilled",
	},
	{
		name: "dead-and-yet-answered", breaks: "a subject that is to be killed after its commit hears that it committed",
		file: "once/oncetest/killtest/life.go",
		old:  "	case how == die:\n		life.Kill()\n",
		new:  "	case how == die:\n		return life.Kill != nil\n",
		pkg:  "./once/oncetest/killtest", test: "TestWhatIsRightPassesAndEachMistakeIsNamed",
	},
	{
		name: "taken-and-yet-claimed", breaks: "one key claims two payments, statement by statement",
		file: "internal/shop/checkout/capture.go",
		old:  "d.request, d.print, token); err != nil {\n			return err\n",
		new:  "d.request, d.print, token); err != nil && !errors.Is(err, idempotency.ErrTaken) {\n			return err\n",
		pkg:  "./internal/shop/checkout", test: "TestOneKeySentToTwoPaymentsAtOnceLeavesOneUntouched",
	},
	{
		name: "commits-what-it-could-not-claim", breaks: "a key runs without an end beside a payment that it could not claim",
		file: "internal/shop/checkout/capture.go",
		old:  "			return errNotClaimable\n		}\n		if err != nil {\n",
		new:  "			why = errNotClaimable\n			return nil\n		}\n		if err != nil {\n",
		more: []edit{
			{"internal/shop/checkout/capture.go", "	values := s.opening(ctx, d)\n", "	var why error\n	values := s.opening(ctx, d)\n"},
			{"internal/shop/checkout/capture.go", "attemptSQL, d.Payment, no)\n	})\n	return a, err\n", "attemptSQL, d.Payment, no)\n	})\n	return a, errors.Join(err, why)\n"},
		},
		pkg: "./internal/shop/checkout", test: "TestAnotherKeyAfterTheCaptureMatchesTheBusinessKey",
	},
}
