package main

// Where the shop's belief in a provider is tested.
const (
	world    = "internal/lab/world/"
	adapter  = "internal/shop/provider/simulated/"
	checkout = "internal/shop/checkout/"

	everyWay = "TestWhateverTheProviderDoesTheShopIsRightOrItSaysWhatIsWrong"
	stray    = "TestAStrayChargeIsFoundWhereverItStandsInTheListAndHoweverLateTheListComes"
)

// Edits of the simulator that several mutants share.
var (
	threeOnAPage  = edit{world + "list.go", "	return limit, nil\n", "	return min(limit, 3), nil\n"}
	listsLate     = edit{world + "lookup.go", "idempotency_key = $3) AND id > $4\n", "idempotency_key = $3) AND id > $4\n  AND ($1 <> '' OR created_at < clock_timestamp() - interval '700 milliseconds')\n"}
	forgetsAlways = edit{world + "quirk.go", `if odd != forgetful || key == "" {`, `if key == "" {`}
)

// of makes the mutant whose first edit is the simulator's.
func of(name, does, pkg, test string, p provider, edits ...edit) mutant {
	return mutant{
		name: name, breaks: does, provider: &p, pkg: "./internal/" + pkg, test: test,
		file: edits[0].file, old: edits[0].old, new: edits[0].new, more: edits[1:],
	}
}

// providers are the mutants of the simulator. First what a provider may do, then
// what none may.
var providers = []mutant{
	of("pages-of-three", "a page of a list holds three rows, whatever limit was asked for", "edge/audit", everyWay,
		provider{
			holds:   "every question and every audit reads all pages",
			without: []edit{{adapter + "page.go", `		case one.next == "":`, `		case true || one.next == "":`}},
		}, threeOnAPage),
	of("repeats-a-row", "each page begins with the last row of the one before", "edge/audit", everyWay,
		provider{
			holds:   "a charge that is listed twice is one charge",
			without: []edit{{adapter + "page.go", "if known[id(row)] {", "if len(known) < 0 {"}},
		}, threeOnAPage,
		edit{world + "lookup.go", "idempotency_key = $3) AND id > $4\n", "idempotency_key = $3) AND id >= $4\n"},
		edit{world + "refundbook.go", "charge_id = $3) AND id > $4\n", "charge_id = $3) AND id >= $4\n"}),
	of("newest-first", "the rows of a page stand in the reverse order", "shop/checkout", stray,
		provider{
			holds:   "a live charge is found wherever it stands",
			without: []edit{{"internal/shop/provider/holding.go", "	for _, c := range charges {\n		if c.Status != Succeeded {\n", "	for _, c := range charges[max(len(charges)-1, 0):] {\n		if c.Status != Succeeded {\n"}},
		},
		edit{world + "list.go", `	if len(rows) <= limit {
		return page[T]{Data: rows}
	}
	next := id(rows[limit-1])
	return page[T]{Data: rows[:limit], NextCursor: &next}`, `	var next *string
	if len(rows) > limit {
		last := id(rows[limit-1])
		rows, next = rows[:limit], &last
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return page[T]{Data: rows, NextCursor: next}`}),
	of("answers-a-look-up-late", "the first look-up of each kind is answered after the shop's patience", "shop/checkout", stray,
		provider{
			holds:   "no answer is unknown, never none",
			without: []edit{{checkout + "clear.go", "	s.heard(ctx, err)\n	return live, err\n", "	s.heard(ctx, err)\n	if !errors.Is(err, provider.ErrIncomplete) {\n		err = nil\n	}\n	return live, err\n"}},
		},
		edit{world + "list.go", "	charges, err := w.books.list(r.Context(), filter{\n		from: ", `	if _, again := asked.LoadOrStore(r.URL.RawQuery, true); !again {
		w.wait(r.Context(), 500*time.Millisecond)
	}
	charges, err := w.books.list(r.Context(), filter{
		from: `},
		edit{world + "list.go", "import (\n	\"net/http\"\n	\"strconv\"\n	\"time\"\n)", "import (\n	\"net/http\"\n	\"strconv\"\n	\"sync\"\n	\"time\"\n)\n\nvar asked sync.Map"}),
	of("lists-a-charge-late", "a charge is listed 0.7 s after it was made", "edge/audit", everyWay,
		provider{
			holds: "what the provider has not heard of is sent again under its own key, and ends as it was made",
			without: []edit{{checkout + "recover.go", "	if err != nil || !found {\n		return outcome{}, false, err\n	}\n",
				"	if err == nil && !found {\n		return outcome{attemptStatus: attemptAbandoned, declineCode: \"abandoned\"}, true, nil\n	}\n	if err != nil {\n		return outcome{}, false, err\n	}\n"}},
		}, listsLate),
	of("adds-fields", "charges, refunds and pages have fields that the shop does not know", "edge/audit", everyWay,
		provider{
			holds: "what is unknown is passed over",
			without: []edit{
				{adapter + "books.go", "	if err := json.Unmarshal(a.body, &out); err != nil {\n		return p,", "	strict := json.NewDecoder(bytes.NewReader(a.body))\n	strict.DisallowUnknownFields()\n	if err := strict.Decode(&out); err != nil {\n		return p,"},
				{adapter + "books.go", "import (\n", "import (\n	\"bytes\"\n"},
			},
		},
		edit{world + "books.go", "	CreatedAt      string  `json:\"created_at\"`\n", "	CreatedAt      string  `json:\"created_at\"`\n	Live bool `json:\"livemode\"`\n	Metadata map[string]string `json:\"metadata\"`\n"},
		edit{world + "refund.go", "	CreatedAt      string  `json:\"created_at\"`\n", "	CreatedAt      string  `json:\"created_at\"`\n	Live bool `json:\"livemode\"`\n"},
		edit{world + "wire.go", "	NextCursor *string `json:\"next_cursor\"`\n", "	NextCursor *string `json:\"next_cursor\"`\n	More bool `json:\"has_more\"`\n"}),
	of("tells-of-new-kinds", "before each message comes one of a kind that the shop does not know", "edge/audit", everyWay,
		provider{
			holds:   "it is taken and starts nothing",
			without: []edit{{adapter + "notice.go", "	switch envelope.Type {\n", "	switch envelope.Type {\n	default:\n		err = provider.ErrNotice\n"}},
		},
		edit{world + "webhook.go", "	status, err := w.post(ctx, m, began)\n", `	other := m
	other.id, other.body = m.id+"-new", []byte(` + "`" + `{"type":"charge.updated","data":{"id":1}}` + "`" + `)
	if status, _ := w.post(ctx, other, began); status != 200 {
		return false
	}
	status, err := w.post(ctx, m, began)
`}),
	of("delivers-three-times", "each message is delivered three times, in no order", "edge/audit", everyWay,
		provider{
			holds:   "a message has one receipt and starts one event",
			without: []edit{{"once/webhook/receipt.go", "	return Known, nil\n", "	return Fresh, nil\n"}},
		},
		edit{world + "webhook.go", "copies: max(1, int(mood.WebhookCopies))", "copies: max(3, int(mood.WebhookCopies))"}),
	of("tells-of-a-charge-twice", "what became of a charge is told by two messages with two ids", "edge/audit", everyWay,
		provider{
			holds:   "the second agrees with what is stored, and moves nothing",
			without: []edit{{checkout + "notices.go", "	case agrees(a, c):\n		return nil\n", ""}},
		},
		edit{world + "webhook.go", "	status, err := w.post(ctx, m, began)\n", "	again := m\n	again.id += \"-again\"\n	_, _ = w.post(ctx, again, began)\n	status, err := w.post(ctx, m, began)\n"}),
	of("tells-of-a-refund-twice", "a refund is told of by two messages with two ids", "edge/audit", everyWay,
		provider{
			holds:   "the second agrees with what is stored, and moves nothing",
			without: []edit{{"internal/shop/refund/notices.go", "	case r.Status == Failed && moved:\n", "	case r.Status == Succeeded && moved:\n"}},
		},
		edit{world + "webhook.go", "	status, err := w.post(ctx, m, began)\n", "	if bytes.Contains(m.body, []byte(`\"refund.`)) {\n		again := m\n		again.id += \"-again\"\n		_, _ = w.post(ctx, again, began)\n	}\n	status, err := w.post(ctx, m, began)\n"}),
	of("tells-before-it-answers", "the message about a charge arrives before the answer to it", "edge/audit", everyWay,
		provider{
			holds:   "a message about an open attempt is a hint, and the answer decides",
			without: []edit{{checkout + "notices.go", "	case a.unfinished():\n", "	case a.unfinished() && c.Status == \"\":\n"}},
		},
		edit{world + "card.go", "!c.slow && c.tells != first", "!c.slow && c.tells < 0"},
		edit{world + "charge.go", "if made.message != nil && c.tells == first {", "if made.message != nil {"}),
	of("four-minutes-ahead", "the provider's clock is four minutes ahead of the shop's", "edge/audit", everyWay,
		provider{
			holds:   "its messages are believed, and no time of the provider's decides",
			without: []edit{{"once/webhook/webhook.go", "const Tolerance = 5 * time.Minute", "const Tolerance = time.Minute"}},
		},
		edit{world + "world.go", "		o.Now = time.Now\n", "		o.Now = func() time.Time { return time.Now().Add(4 * time.Minute) }\n"}),
	of("turns-away-for-longer", "the first try is answered 429, Retry-After: 1, and one that comes earlier is turned away for half a minute", "shop/checkout",
		"TestProvider429Or500ThenOKIsRetriedWithTheSameKeyAndCaptured",
		provider{
			holds:   "the next try comes when it may",
			without: []edit{{adapter + "simulated.go", "	return a.retryAfter * 5 / 4\n", "	return -1\n"}},
		},
		edit{world + "charge.go", "	if c.trouble == smooth {\n		return smooth, nil\n	}\n", `	opens, again := doors.Load(o.key)
	switch now := time.Now(); {
	case !again:
		doors.Store(o.key, now.Add(time.Second))
		return smooth, errTooMany
	case now.Before(opens.(time.Time)):
		doors.Store(o.key, now.Add(30*time.Second))
		return smooth, errTooMany
	}
	if c.trouble == smooth {
		return smooth, nil
	}
`},
		edit{world + "charge.go", "// news is a charge that", "var doors sync.Map\n\n// news is a charge that"}),

	of("forgets-a-key-early", "a key that has charged charges again; the list still names it", "edge/audit", everyWay,
		provider{
			breach: true, holds: "the list is asked before anything is sent again, so there is one charge",
			without: []edit{{checkout + "recover.go", "	return o, true, err\n", "	return o, a.Age > s.GiveUp.Seconds(), err\n"}},
		}, forgetsAlways),
	of("forgets-a-key-and-lists-late", "a key that has charged charges again, and the list does not name it yet", "edge/audit", everyWay,
		provider{
			breach: true, holds: "the second charge is not silent", noticed: "books_agree,charge_matches,one_charge",
			without: []edit{{"internal/edge/audit/charges.go", "		if len(alive(f.charges)) > 1 {\n", "		if len(alive(f.charges)) > 2 {\n"}},
		}, forgetsAlways, listsLate),
	of("answers-another-charge", "a charge is answered with the charge before it", "edge/audit", everyWay,
		provider{
			breach: true, holds: "it proves nothing, and asking by the key finds the right one",
			without: []edit{{adapter + "simulated.go", `	case got.IdempotencyKey != key, reference != "" && got.Reference != reference:`, `	case key == "", reference == "none":`}},
		},
		edit{world + "quirk.go", "	default:\n		writeBytes(", "	default:\n		if last, ok := before.Swap(a).(answer); ok {\n			a = last\n		}\n		writeBytes("},
		edit{world + "quirk.go", "	\"net/http\"\n)", "	\"net/http\"\n	\"sync/atomic\"\n)\n\nvar before atomic.Value"}),
	of("takes-two-refunds-for-one", "a second refund of one charge and amount is answered with the first, and not made", "shop/refund", "TestAsManyRefundsAreDoneAsTheProviderMade",
		provider{
			breach: true, holds: "what speaks of another refund is not ours, and the saga goes on asking",
			without: []edit{{adapter + "refund.go", "got.IdempotencyKey != r.Key || got.Reference != r.Reference || ", ""}},
		},
		edit{world + "refund.go", "	mine := w.newRefund(", `	if like, err := w.books.refunds(ctx, filter{limit: 1}, o.chargeID); err == nil && len(like) == 1 && like[0].AmountMinor == o.amount {
		return like[0], true, smooth, nil
	}
	mine := w.newRefund(`}),
	of("loses-the-tail", "a list ends after its third row", "edge/audit", "TestAPaymentThatIsChargedTwiceIsNamedByAnAlert",
		provider{
			breach: true, holds: "a charge behind the end is named by an alert, because the provider told of it",
			without: []edit{{checkout + "unasked.go", "	if _, err := tx.Exec(ctx, markUnaskedSQL, p.ID); err != nil {\n		return err\n	}\n", "	if _, err := tx.Exec(ctx, markUnaskedSQL, p.ID); err == nil {\n		return nil\n	}\n"}},
		}, threeOnAPage,
		edit{world + "list.go", "	return page[T]{Data: rows[:limit], NextCursor: &next}", "	_ = next\n	return page[T]{Data: rows[:limit]}"}),
	of("amounts-in-text", "amounts are text: \"8400\"", "edge/audit", everyWay,
		provider{
			breach: true, holds: "what cannot be read proves nothing", noticed: "message_refused,unpaid,unseen,webhook_unreadable",
			without: []edit{{adapter + "books.go", "	if err := json.Unmarshal(a.body, &out); err != nil {\n		return p,", "	if err := json.Unmarshal(a.body, &out); err != nil && !json.Valid(a.body) {\n		return p,"}},
		},
		edit{world + "books.go", "	AmountMinor    int64   `json:\"amount_minor\"`\n", "	AmountMinor    int64   `json:\"amount_minor,string\"`\n"},
		edit{world + "refund.go", "	AmountMinor    int64   `json:\"amount_minor\"`\n", "	AmountMinor    int64   `json:\"amount_minor,string\"`\n"}),
	of("currency-in-small-letters", "currencies are answered in small letters: eur", "edge/audit", everyWay,
		provider{
			breach: true, holds: "another currency is another amount, and never captured", noticed: "message_refused,provider_amount,unpaid,webhook_unreadable",
			without: []edit{{checkout + "recover.go", "c.Amount == ours {", "c.Amount.AmountMinor == ours.AmountMinor {"}},
		},
		edit{world + "answer.go", "		Currency:    o.currency,\n", "		Currency:    strings.ToLower(o.currency),\n"},
		edit{world + "answer.go", "	\"net/http\"\n", "	\"net/http\"\n	\"strings\"\n"}),
}
