package main

// ofDoors are bugs of what one client may take from the others, what another site
// may do with a visitor's browser, what a program may do in the database, and what one
// frozen node may stop.
var ofDoors = []mutant{
	{
		name: "silence-is-the-providers", breaks: "one sandbox's cards that never get an answer close payment for all",
		file: "internal/shop/provider/simulated/sent.go",
		old:  "		case err == nil, dialFailed(err):\n",
		new:  "		default:\n",
		pkg:  "./internal/shop/provider/simulated", test: "TestCardsThatNeverGetAnAnswerDoNotOpenTheBreakerAndQuestionsWithoutOneDo",
	},
	{
		name: "a-minute-by-default", breaks: "a provider that answers again is refused for a minute",
		file: "internal/shop/provider/simulated/breaker.go",
		old:  "		WithDelay(cfg.BreakerDelay).\n",
		new:  "",
		pkg:  "./internal/shop/provider/simulated", test: "TestTheDelayHoldsAlsoWhenASuccessIsTheTwentiethCall",
	},
	{
		name: "a-charge-is-the-probe", breaks: "what an open breaker sends first is somebody's charge",
		file: "internal/shop/provider/simulated/breaker.go",
		old:  "	asking, cancel := context.WithTimeout(ctx, c.probeTimeout)\n",
		new:  "	if ctx.Err() == nil {\n		c.breaker.RecordSuccess()\n		return nil\n	}\n	asking, cancel := context.WithTimeout(ctx, c.probeTimeout)\n",
		pkg:  "./internal/shop/provider/simulated", test: "TestTheBreakerOpensSendsNothingProbesOnceAtATimeAndCloses",
	},
	{
		name: "a-body-without-a-deadline", breaks: "a client that never ends its body holds a connection for ever",
		file: "internal/platform/httpserver/httpserver.go",
		old:  " ReadTimeout: l.Read,",
		new:  "",
		pkg:  "./internal/platform/httpserver", test: "TestABodyThatNeverEndsIsLetGoAndOneThatArrivedHasTime",
	},
	{
		name: "connections-without-end", breaks: "one address holds every connection",
		file: "internal/platform/httpserver/connections.go",
		old:  "	if b.held[who] < b.limits.Connections {",
		new:  "	if b.held[who] < b.limits.Connections || who != \"\" {",
		pkg:  "./internal/platform/httpserver", test: "TestAnAddressHoldsSoManyConnectionsAndOneThatLeavesMakesRoom",
	},
	{
		name: "strangers-are-not-counted", breaks: "requests without a right token have no limit",
		file: "internal/edge/httpapi/server.go",
		old:  "s.conform, s.describe, s.counted, s.sized,",
		new:  "s.conform, s.describe, s.sized,",
		pkg:  "./internal/edge/httpapi", test: "TestAnAddressIsCountedBeforeItIsKnownWhoAsks",
	},
	{
		name: "any-host", breaks: "a name of another site that points at this machine is answered",
		file: "internal/edge/httpapi/auth.go",
		old:  "	if !httpserver.Ours(c.Request.Host, s.Hosts) {",
		new:  "	if c.Request.Host == \"\" && !httpserver.Ours(c.Request.Host, s.Hosts) {",
		pkg:  "./internal/edge/httpapi", test: "TestOnlyItsOwnNamesAreAnswered",
	},
	{
		name: "any-page-arms", breaks: "a page of another site drives the laboratory",
		file: "internal/edge/httpapi/server.go",
		old:  "s.counted, s.homely, s.sized,",
		new:  "s.counted, s.sized,",
		pkg:  "./internal/edge/httpapi", test: "TestAPageOfAnotherSiteCannotDriveTheLaboratory",
	},
	{
		name: "old-tokens-stay-good", breaks: "a token that leaked opens the sandbox after a reset",
		file: "internal/edge/httpapi/sandbox.go",
		old:  "	if !same[0] {",
		new:  "	if !same[0] && token == \"\" {",
		pkg:  "./internal/edge/httpapi", test: "TestAResetGivesAnEmptySandboxAndDeletesNothing",
	},
	{
		name: "every-reconnect-declares", breaks: "one frozen node of a cluster stops all publishing and consuming",
		file: "internal/platform/rabbit/connection.go",
		old:  "	if !c.declared {\n",
		new:  "	if !c.declared || l != nil {\n",
		pkg:  "./internal/platform/rabbit", test: "TestAReconnectWhileNoNodeDeclaresCarriesMessages",
	},
	{
		name: "a-lost-queue-stays-lost", breaks: "a queue that was deleted stays away until a process starts",
		file: "internal/platform/rabbit/connection.go",
		old:  "	case c.lost <- struct{}{}:\n",
		new:  "	case make(chan struct{}, 1) <- struct{}{}:\n",
		pkg:  "./internal/platform/rabbit", test: "TestAQueueThatIsGoneIsDeclaredAgainByWhoMissesIt",
	},
	{
		name: "a-quick-restart-unseen", breaks: "a process that died and is back within three seconds was never down",
		file: "internal/edge/journal/reader.go",
		old:  "		case known && p.interrupted(before):\n",
		new:  "		case known && p.interrupted(before) && p.Name == \"\":\n",
		pkg:  "./internal/edge/journal", test: "TestAProcessThatDiedAndIsBackWithinThreeSecondsWasDown",
	},
	{
		name: "a-program-deletes-payments", breaks: "the programs' role may what no source of theirs does",
		file: "migrations/grants.sql",
		old:  "  GRANT DELETE ON activity,",
		new:  "  GRANT DELETE ON payments, activity,",
		pkg:  "./internal/platform/postgres", test: "TestTheProgramsRoleMayWriteWhatTheSourcesWriteAndNothingElse",
	},
	{
		name: "a-day-that-is-not-over", breaks: "a program drops the day that is being written, with the owner's hand",
		file: "migrations/00029_roles.sql",
		old:  "     OR to_date(right(part, 8), 'YYYYMMDD') >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN\n",
		new:  "     THEN\n",
		pkg:  "./internal/platform/postgres", test: "TestTheProgramsRoleMakesDropsAndAltersNothingAndReadsNoPasswords",
	},
	{
		name: "a-reader-writes", breaks: "what should only look writes",
		file: "migrations/grants.sql",
		old:  "  GRANT SELECT ON ALL TABLES IN SCHEMA public TO payonce_program, payonce_reader;\n",
		new:  "  GRANT SELECT ON ALL TABLES IN SCHEMA public TO payonce_program;\n  GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO payonce_reader;\n",
		pkg:  "./internal/platform/postgres", test: "TestTheReadersRoleReadsEveryTableAndWritesNone",
	},
	{
		name: "a-second-request-in-the-first", breaks: "what follows the chunks of a request that announced a length too is served as another request",
		file: "internal/platform/httpserver/httpserver.go",
		old:  "		if len(r.TransferEncoding) > 0 || ",
		new:  "		if ",
		pkg:  "./internal/platform/httpserver", test: "TestARequestOfTwoLengthsIsReadByItsChunksOrRefusedAndIsTheLastOfItsConnection",
	},
}
