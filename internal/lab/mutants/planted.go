package main

var mutants = []mutant{
	{
		name: "no-inbox-insert", breaks: "a redelivered event is applied again",
		file: "once/inbox/table.go",
		old: `INSERT INTO {consumer_inbox} (consumer, event_id)
SELECT $1, id FROM unnest(CAST($2 AS uuid[])) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id`,
		new: `SELECT id FROM unnest(CAST($2 AS uuid[])) AS id WHERE $1 <> '' ORDER BY id`,
		pkg: "./once/inbox", test: "TestTheSmallestConsumerKeepsThePromise",
	},
	{
		name: "one-page-of-a-listing", breaks: "a charge behind the first page of the provider's list is taken for none, and a second is made",
		file: "internal/shop/provider/simulated/page.go",
		old:  `		case one.next == "":`,
		new:  `		case true || one.next == "":`,
		pkg:  "./internal/shop/checkout", test: "TestAStrayChargeBehindAnyNumberOfDeclinesIsFoundAndNoSecondIsMade",
	},
	{
		name: "a-part-is-the-list", breaks: "the pages that could be read of a list count as all of it",
		file: "internal/shop/provider/simulated/page.go",
		old:  "	if err != nil {\n		return nil, err\n	}\n	return rows, nil",
		new:  "	if err != nil && len(rows) == 0 {\n		return nil, err\n	}\n	return rows, nil",
		pkg:  "./internal/shop/provider/simulated", test: "TestAListingThatCannotBeReadToItsEndIsIncompleteAndGivesNoPartOfItself",
	},
	{
		name: "any-alert-excuses", breaks: "an open alert about a payment excuses every difference of it",
		file: "internal/edge/audit/excuse.go",
		old:  `(n.Object == p.object || n.Object == p.alias) && n.AmountMinor == p.amount && n.Currency == p.currency`,
		new:  `n.Object != ""`,
		pkg:  "./internal/edge/audit", test: "TestEveryPlantedFaultTurnsExactlyItsInvariantsRed",
	},
	{
		name: "unconditional-finalise", breaks: "a holder that slept through its lease overwrites the truth",
		file: "internal/shop/checkout/capture.go",
		old: `AND a.fence = @fence::bigint
     AND a.status IN ('sending', 'in_doubt') AND p.status IN ('capturing', 'in_doubt')`,
		new: `AND @fence::bigint > 0`,
		pkg: "./internal/shop/checkout", test: "TestASleeperThatWakesAfterItsLeaseWasTakenFinishesNothing",
	},
	{
		name: "no-unique-claim", breaks: "one key claims two payments",
		file: "once/idempotency/table.go",
		old:  "(SELECT count(*) FROM expired) AS gone\n",
		new:  "(SELECT count(*) FROM expired) AS gone ON CONFLICT DO NOTHING\n",
		pkg:  "./internal/shop/checkout", test: "TestOneKeySentToTwoPaymentsAtOnceLeavesOneUntouched",
	},
	{
		name: "expired-while-it-runs", breaks: "a key whose charge is in doubt is taken for absent, and a second attempt begins",
		file: "once/idempotency/table.go",
		old:  "(k.status = 'completed' AND ",
		new:  "(",
		pkg:  "./once/idempotency", test: "TestEveryWayToMeetAKeyHoldsTheSameRowsForAbsent",
	},
	{
		name: "expired-when-it-is-answered", breaks: "an answer that comes after its key's time is gone before its client asks",
		file: "once/idempotency/table.go",
		old:  "greatest(k.expires_at, clock_timestamp() + @answer_life * interval '1 second')",
		new:  "coalesce(k.expires_at, clock_timestamp() + @answer_life * interval '1 second')",
		pkg:  "./once/idempotency", test: "TestAnAnswerThatComesAfterItsKeysTimeIsKeptForALifetime",
	},
	{
		name: "a-lost-commit-forgotten", breaks: "an order that may be durable is answered as one that was not placed",
		file: "once/idempotency/do.go",
		old:  "fmt.Errorf(\"%w; the key cannot be read: %s\", err, looked.Error())",
		new:  "fmt.Errorf(\"the key cannot be read: %w\", looked)",
		pkg:  "./once/idempotency", test: "TestAfterALostCommitTheKeySaysWhatIsDurableAndASilentOneLeavesItUnknown",
	},
	{
		name: "not-sent-by-a-sleeper", breaks: "a client is answered that its card was not charged, which another holder has done",
		file: "once/call/run.go",
		old:  "	case changed:\n",
		new:  "	case changed || err == nil:\n",
		pkg:  "./internal/shop/checkout", test: "TestASleeperWhoseRequestWasNotSentDoesNotSayThatNothingWasCharged",
	},
	{
		name: "taken-and-gone-on", breaks: "a twin whose key is taken makes the effect a second time",
		file: "once/idempotency/do.go",
		old:  "	case claimed == 0:\n",
		new:  "	case claimed < 0:\n",
		pkg:  "./once/idempotency", test: "TestDoIsOneOutcomePerKey",
	},
	{
		name: "order-before-address", breaks: "a buyer pays with an address that the mailer refuses",
		file: "internal/edge/httpapi/checkout.go",
		old:  "	email, err := event.ParseAddress(r.Body.Email)\n",
		new:  "	email, err := event.Address(r.Body.Email), error(nil)\n",
		pkg:  "./internal/edge/httpapi", test: "TestAnAddressThatNoReceiptReachesIsRefusedAtTheOrderAndItsKeyStaysFree",
	},
	{
		name: "no-confirm-wait", breaks: "an event counts as published that no broker has",
		file: "once/rabbit/publisher.go",
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
		pkg: "./once/rabbit", test: "TestAConfirmThatNeverComesIsUnconfirmedAndTheWindowIsFreeAgain",
	},
	{
		name: "not-mandatory", breaks: "an event without a queue is confirmed and gone",
		file: "once/rabbit/publisher.go",
		old:  "m.Exchange, m.Key, true, false,",
		new:  "m.Exchange, m.Key, false, false,",
		pkg:  "./once/outbox", test: "TestAnUnroutableEventStaysHoldsItsAggregateOnlyAndAlarmsOnce",
	},
	{
		name: "relay-by-id-cursor", breaks: "an event that commits late, behind what was read already, is never published",
		file: "once/outbox/engine.go",
		old:  "	fromStart := len(e.scan) > 0",
		new:  "	e.more, e.scan = with(e.scan, e.more...), nil\n	fromStart := len(e.scan) > 0",
		pkg:  "./once/outbox", test: "TestWhatCommitsLateBehindTheHintIsPublishedAndInOrder",
	},
	{
		name: "mark-before-confirm", breaks: "an event counts as published whose confirm never came",
		file: "once/outbox/engine.go",
		old:  "		err := e.cfg.Publisher.Send(",
		new:  "		e.toMark <- r\n		err := e.cfg.Publisher.Send(",
		pkg:  "./once/outbox", test: "TestAConfirmThatIsLostIsAnEventSentAgainAndMarkedOnce",
	},
	{
		name: "unlock-before-drained", breaks: "a partition is handed over while events of it are still under way",
		file: "once/outbox/lanes.go",
		old:  "return l.under[partition] == 0",
		new:  "return l.under[partition] < 1<<30",
		pkg:  "./once/outbox", test: "TestWhateverCommitsLateFailsOrChangesHandsEachAggregateIsConfirmedInOrderAndNothingIsLost",
	},
	{
		name: "sleeper-without-a-lease", breaks: "a relay that was stopped sends events of partitions that another owns by now",
		file: "once/outbox/owner.go",
		old:  "return l.now()-time.Duration(l.last.Load()) < l.lasts",
		new:  "return l.now()-time.Duration(l.last.Load()) < l.lasts<<10",
		pkg:  "./once/outbox", test: "TestAStoppedRelayIsReplacedBecauseTheServerEndsItsIdleSession",
	},
	{
		name: "ack-across-a-reconnect", breaks: "an ack of a delivery from before a reconnect settles another message, which is lost",
		file: "once/rabbit/consumer.go",
		old:  "	if in.phase == over {\n		return ErrStale\n	}",
		new:  "	in.ch = newest",
		more: []edit{
			{"once/rabbit/consumer.go", "	defer in.end()", "	newest = ch"},
			{"once/rabbit/consumer.go", "// intake is a consumer's channel", "var newest *amqp.Channel\n\n// intake is a consumer's channel"},
		},
		pkg: "./once/rabbit", test: "TestAnAckOfAnOlderGenerationIsRefusedAndTheMessageComesAgain",
	},
	{
		name: "ack-before-commit", breaks: "a consumer that dies in its transaction loses the message",
		file: "once/inbox/runner.go",
		old:  "	if len(together) > 0 {",
		new:  "	_ = rabbit.Ack(batch...)\n	if len(together) > 0 {",
		pkg:  "./once/inbox", test: "TestTheSmallestConsumerKeepsThePromise",
	},
	{
		name: "client-cancels-finalise", breaks: "a client that hangs up cancels the commit after the charge",
		file: "once/call/run.go",
		old:  "ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)\n	defer cancel()\n	if err := r.point(BeforeComplete",
		new:  "ctx, cancel := context.WithTimeout(ctx, r.cfg.Commit)\n	defer cancel()\n	if err := r.point(BeforeComplete",
		pkg:  "./internal/shop/checkout", test: "TestAClientThatHangsUpDoesNotCancelWhatWasCharged",
	},
	{
		name: "blind-rerun-after-failed-commit", breaks: "a transaction whose COMMIT was durable and unheard of runs again",
		file: "once/db.go",
		old:  "if err = transaction(); err == nil || !Retriable(err) {",
		new:  "if err = transaction(); err == nil || !(Retriable(err) || errors.Is(err, ErrCommitUnknown)) {",
		more: []edit{{"once/db.go", "	\"context\"\n", "	\"context\"\n	\"errors\"\n"}},
		pkg:  "./once/pq", test: "TestTheAdapterOfLibPq/a_lost_reply_to_COMMIT_is_unknown_and_not_run_again",
	},
	{
		name: "claim-not-recognised", breaks: "a claim whose reply was lost belongs to nobody until its lease ends",
		file: "internal/shop/checkout/capture.go",
		old:  "if found && row.ClaimToken == token.String() {",
		new:  "if found && row.ClaimToken == uuid.Nil.String() {",
		pkg:  "./internal/shop/checkout", test: "TestAClaimOrFinaliseWhoseReplyIsLostIsFinishedByItsOwnRequest",
	},
	{
		name: "signal-cuts-take-over", breaks: "a process that ends leaves the lease of an attempt behind",
		file: "once/call/recover.go",
		old:  "ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)\n	defer cancel()\n	holder := uuid.NewString()",
		new:  "ctx, cancel := context.WithTimeout(ctx, r.cfg.Commit)\n	defer cancel()\n	holder := uuid.NewString()",
		pkg:  "./internal/shop/checkout", test: "TestASignalAmidATakeOverLeavesNoLease",
	},
	{
		name: "waits-while-leaving", breaks: "a duplicate's patience holds up the end of its process",
		file: "internal/shop/checkout/duplicate.go",
		old:  "		case <-s.Leaving:\n			cancel()\n",
		new:  "		case <-s.Leaving:\n",
		pkg:  "./internal/lab/e2e", test: "TestADuplicateDoesNotHoldUpAnApiThatLeaves",
	},
	{
		name: "ready-while-leaving", breaks: "a load balancer sends requests to a process that is about to shut the door",
		file: "cmd/api/main.go",
		old:  "		if leaving.Err() != nil {\n",
		new:  "		if leaving.Err() == context.DeadlineExceeded {\n",
		pkg:  "./internal/lab/e2e", test: "TestSIGTERMToTheApiAmidCapturesFinishesThemAndLeavesNoLease",
	},
	{
		name: "deaf-to-the-second-signal", breaks: "a process that hangs while it ends cannot be hurried",
		file: "internal/platform/process/process.go",
		old:  "		restore()\n		log",
		new:  "		log",
		pkg:  "./internal/lab/e2e", test: "TestASecondSignalOrTheBoundEndsTheApiAtOnceAndTheCaptureIsRecovered",
	},
	{
		name: "no-business-key", breaks: "a client with a fresh key for each retry is charged again",
		file: "internal/shop/checkout/capture.go",
		old:  "AND status IN ('requires_capture', 'declined')",
		new:  "AND status IN ('requires_capture', 'declined', 'captured')",
		// The question about the attempts before would still hide it.
		more: []edit{{"internal/shop/checkout/capture.go", "AND (attempt_no = @asked_up_to::integer OR NOT EXISTS (", "AND (@asked_up_to::integer >= 0 OR NOT EXISTS ("}},
		pkg:  "./internal/shop/checkout", test: "TestAnotherKeyAfterTheCaptureMatchesTheBusinessKey",
	},
	{
		name: "recovery-by-reference", breaks: "attempt 1's decline answers for attempt 2's charge",
		file: "internal/shop/checkout/recover.go",
		old:  "s.Provider.ChargeByKey(ctx, a.ProviderKey)",
		new:  `s.Provider.ChargeByKey(ctx, "capture:"+PaymentRef(a.PaymentID)+":1")`,
		pkg:  "./internal/shop/checkout", test: "TestAttemptOneDeclinedAttemptTwoDeadTheSweeperFindsAttemptTwosOwnOutcome",
	},
	{
		name: "silent-repetition-proves-nothing-sent", breaks: "a charge that net/http repeated by itself counts as never sent, and is made again",
		file: "internal/shop/provider/simulated/sent.go",
		old:  "sent = sent || connected.Load() || !dialFailed(err)",
		new:  "sent = sent || connected == nil || !dialFailed(err)",
		pkg:  "./internal/shop/provider/simulated", test: "TestAChargeWhoseKeptConnectionDiesAndWhoseSilentRepetitionIsRefusedIsInDoubt",
	},
	{
		name: "inbox-by-processed-at", breaks: "the same event is admitted once per time of processing",
		file: "migrations/00002_patterns.sql",
		old:  "  PRIMARY KEY (consumer, event_id)\n) PARTITION BY RANGE (event_id);",
		new:  "  PRIMARY KEY (consumer, event_id, processed_at)\n) PARTITION BY RANGE (event_id);",
		pkg:  "./internal/shop/ledger", test: "TestLedgerBooksEachPaymentOnceWhateverTheBrokerDoes",
	},
	{
		name: "short-retention", breaks: "a replay comes back after its inbox row has gone",
		file: "once/retention/lint.go",
		old:  "	need(w.Inbox, w.OutboxAlarm+w.Retries+w.ReplayLimit+day,",
		new:  "	need(w.Inbox, w.OutboxAlarm+w.Retries,",
		pkg:  "./internal/edge/retention", test: "TestTheDefaultWindowsFitAndEachShortOneIsNamed",
	},
	{
		name: "drops-unpublished", breaks: "a day goes with an event that nobody has published",
		file: "migrations/00029_roles.sql",
		old:  "SELECT EXISTS (SELECT FROM %I WHERE published_at IS NULL)",
		new:  "SELECT EXISTS (SELECT FROM %I WHERE false)",
		pkg:  "./internal/edge/retention", test: "TestAnEventThatIsWrittenBetweenTheLookAndTheLockKeepsItsDay",
	},
	{
		name: "drop-head-queue", breaks: "a full queue drops its oldest messages, confirmed or not",
		file: "once/rabbit/topology.go",
		old:  "		\"x-dead-letter-routing-key\": name,\n		\"x-dead-letter-strategy\":    \"at-least-once\",\n		\"x-overflow\":                \"reject-publish\",",
		new:  "		\"x-dead-letter-routing-key\": name,\n		\"x-dead-letter-strategy\":    \"at-least-once\",\n		\"x-overflow\":                \"drop-head\",",
		pkg:  "./internal/shop/event", test: "TestOnlyTheJournalMayDropMessages",
	},
	{
		name: "letter-closed-by-first-replay", breaks: "the second death of a replayed message is swallowed",
		file: "once/retry/write.go",
		old:  "  state = CASE WHEN l.state IN ('open', 'replayed') THEN",
		new:  "  state = CASE WHEN l.state = 'open' THEN",
		pkg:  "./once/retry", test: "TestASchedulesMessagesComeBackAndItsDeadAreWrittenDown",
	},
	{
		name: "replay-without-count", breaks: "a replay's death looks like a late copy of the first life",
		file: "once/outbox/store.go",
		old:  "		Replay: r.Replay, PastWindow: r.PastWindow,",
		new:  "		PastWindow: r.PastWindow,",
		pkg:  "./internal/lab/e2e", test: "TestAReplayReachesTheOneQueueThroughTheDefaultExchangeWithItsCountAndTheEventsOwnTime",
	},
	{
		name: "2xx-before-receipt", breaks: "a webhook is answered before its receipt is durable, and lost with the store",
		file: "internal/shop/checkout/notice.go",
		old:  "err = postgres.InTx(ctx, s.DB, func(tx postgres.Tx) (err error) {",
		new:  "err = afterwards(ctx, s.DB, func(tx postgres.Tx) (err error) {",
		more: []edit{{"internal/shop/checkout/notice.go", "// noticed shows what became of a message", `func afterwards(ctx context.Context, db *postgres.DB, work func(postgres.Tx) error) error {
	go func() { _ = postgres.InTx(context.WithoutCancel(ctx), db, work) }()
	return nil
}

// noticed shows what became of a message`}},
		pkg: "./internal/shop/checkout", test: "TestTheReceiptAndItsEventCommitTogetherOrNeither",
	},
	{
		name: "signature-over-reserialised-json", breaks: "what is verified is not what arrived",
		file: "once/webhook/webhook.go",
		old:  "	_, _ = h.Write(body)\n",
		new:  "	var parsed any\n	if json.Unmarshal(body, &parsed) == nil {\n		body, _ = json.Marshal(parsed)\n	}\n	_, _ = h.Write(body)\n",
		more: []edit{{"once/webhook/webhook.go", "	\"encoding/base64\"\n", "	\"encoding/base64\"\n	\"encoding/json\"\n"}},
		pkg:  "./once/webhook", test: "TestTheSpecificationsOwnExampleIsSignedAndVerifiedAlike",
	},
	{
		name: "no-webhook-tolerance", breaks: "a webhook that somebody kept back for a day is believed",
		file: "once/webhook/webhook.go",
		old:  "off > v.tolerance || off < -v.tolerance",
		new:  "off == 1<<62",
		pkg:  "./once/webhook", test: "TestFiveMinutesToEitherSideAreToleratedAndASecondMoreIsNot",
	},
	{
		name: "webhook-before-its-signature", breaks: "what is not signed is read, and answered by what it says",
		file: "internal/edge/httpapi/webhook.go",
		old:  "	m, err := s.Webhooks.Verify(c.Request.Header, bodyOf(c))\n",
		new:  "	if _, err := s.ReadNotice(bodyOf(c)); err != nil {\n		s.refuse(c, err)\n		return\n	}\n	m, err := s.Webhooks.Verify(c.Request.Header, bodyOf(c))\n",
		pkg:  "./internal/edge/httpapi", test: "TestEveryBadWebhookGetsItsDocumentedAnswerAndStartsNothing",
	},
	{
		name: "webhook-believed", breaks: "a webhook's word stands against what is stored, and no alert is raised",
		file: "internal/shop/checkout/notices.go",
		old:  "	if c.Status == provider.Declined {\n		return a.Status != attemptSucceeded\n	}\n	return (a.Status == attemptSucceeded || a.Status == attemptAbandoned) && a.ChargeID.String == c.ID",
		new:  "	return c.Status != \"\" || a.Status == attemptSucceeded",
		pkg:  "./internal/shop/checkout", test: "TestAMessageThatContradictsAStoredOutcomeAlertsAndMovesNoAttempt",
	},
	{
		name: "claim-after-charge", breaks: "a refused request has charged",
		file: "internal/shop/checkout/capture.go",
		old:  "	a, err := s.open(ctx, d)\n",
		new: `	early := provider.Request{Key: "capture:" + PaymentRef(d.Payment) + ":1", Reference: PaymentRef(d.Payment), Amount: d.Amount, Token: d.Token}
	_, _ = s.Provider.Charge(ctx, early)
	a, err := s.open(ctx, d)
`,
		pkg: "./internal/shop/checkout", test: "TestOneKeySentToTwoPaymentsAtOnceLeavesOneUntouched",
	},
	{
		name: "random-provider-key", breaks: "recovery does not find the charge that its attempt made, and charges again",
		file: "internal/shop/checkout/capture.go",
		old:  "Key: a.ProviderKey, Reference:",
		new:  `Key: a.ProviderKey + ":" + uuid.NewString(), Reference:`,
		pkg:  "./internal/shop/checkout", test: "TestDeadAfterTheChargeTheSweeperAloneFinishesIt",
	},
	{
		name: "stored-body-as-jsonb", breaks: "a replay is not the first answer byte for byte",
		file: "once/idempotency/table.go",
		old:  "response_body = @answer_body,",
		new:  "response_body = convert_to(convert_from(@answer_body::bytea, 'UTF8')::jsonb::text, 'UTF8'),",
		pkg:  "./internal/shop/checkout", test: "TestSameKeySameRequestGetsTheStoredBytes",
	},
	{
		name: "write-outside-a-transaction", breaks: "what a transaction takes back stays written",
		file: "once/pq/db.go",
		old:  "result, err = t.raw.ExecContext(ctx, query, args...)",
		new:  "result, err = t.db.pool.ExecContext(ctx, query, args...)",
		more: []edit{{"once/pq/db.go", "return t.raw.StmtContext(ctx, s)", "return s"}},
		pkg:  "./once/pq", test: "TestTheAdapterOfLibPq/after_nil_everything_is_committed_and_after_an_error_nothing",
	},
	{
		name: "a-lost-commit-was-safe-to-retry", breaks: "pgx is believed, which calls a lost reply to COMMIT safe to retry",
		file: "once/pgx/db.go",
		old:  "|| errors.Is(err, pgx.ErrTxCommitRollback)",
		new:  "|| errors.Is(err, pgx.ErrTxCommitRollback) || err != nil && pgconn.SafeToRetry(err)",
		pkg:  "./once/pgx", test: "TestTheAdapterOfPgx/a_lost_reply_to_COMMIT_is_unknown_and_not_run_again",
	},
	{
		name: "a-session-goes-back-to-the-pool", breaks: "what a session has set, and its locks, belong to a stranger's statement",
		file: "once/pq/db.go",
		old:  "own := sql.OpenDB(connector)",
		new:  "own, _ := db.pool, connector",
		more: []edit{{"once/pq/db.go", "return s.own.Close()", "return nil"}},
		pkg:  "./once/pq", test: "TestTheAdapterOfLibPq/what_a_session_has_set_does_not_go_back_to_the_pool",
	},
	{
		name: "merchant-missing-from-the-key", breaks: "one merchant's key stands in another's way",
		file: "migrations/00002_patterns.sql",
		old:  "PRIMARY KEY (merchant_id, key)",
		new:  "PRIMARY KEY (key)",
		more: []edit{{"once/idempotency/do.go", "ON CONFLICT (<scope>, key) DO UPDATE", "ON CONFLICT (key) DO UPDATE"}},
		pkg:  "./internal/shop/checkout", test: "TestKeysOfTwoMerchantsNeverCollideAndNeverLeak",
	},
	{
		name: "attempt-without-asking", breaks: "a charge that is alive under an earlier attempt is followed by another",
		file: "internal/shop/checkout/capture.go",
		old:  "AND (attempt_no = @asked_up_to::integer OR",
		new:  "AND (@asked_up_to::integer >= 0 OR",
		pkg:  "./internal/shop/checkout", test: "TestAChargeAliveUnderAnEarlierAttemptForbidsANewOneAndAlerts",
	},
	{
		name: "decision-hides-a-difference", breaks: "an alert is closed while the provider still holds the money",
		file: "internal/shop/checkout/resolve.go",
		old:  "case len(live) == 0:",
		new:  "case len(live) >= 0:",
		pkg:  "./internal/shop/checkout", test: "TestKeepingOursIsRefusedWhileTheProviderHoldsTheMoneyAndOpensTheNextAttemptAfterwards",
	},
	{
		name: "refusals-counted-as-captures", breaks: "make bench counts a refusal as a capture, and refusals are fast",
		file: "bench/load.go",
		old:  "if resp.StatusCode != http.StatusOK ||",
		new:  "if resp.StatusCode == http.StatusOK &&",
		pkg:  "./bench", test: "TestAnAnswerThatIsNoCaptureIsAnErrorAndNoNumber",
	},
}
