package main

// campaigned are bugs that a short chaos campaign must catch, each by a named
// invariant: they prove the campaign's checks on the running house, as the unit
// tests of package chaos prove them on made-up logs.
var campaigned = []mutant{
	{
		name: "charged-again-under-chaos", breaks: "a client with a fresh key for each retry is charged again",
		file:      "internal/shop/checkout/capture.go",
		old:       "AND status IN ('requires_capture', 'declined')",
		new:       "AND status IN ('requires_capture', 'declined', 'captured')",
		invariant: "one_charge",
	},
	{
		name: "no-commit-behind-the-200", breaks: "a capture is acknowledged that no database has",
		file:      "internal/shop/checkout/attempts.go",
		old:       "		changed, err = b.finishFolded(ctx, a, o, f)\n",
		new:       "		changed, err = true, ctx.Err()\n",
		invariant: "no_early_2xx",
	},
	{
		name: "fresh-message-id-per-delivery", breaks: "a mail that is sent again is a second mail",
		file:      "internal/shop/email/smtp.go",
		old:       "message.SetGenHeader(gomail.HeaderMessageID, oneLine(m.MessageID))",
		new:       "message.SetMessageID()",
		invariant: "one_mail",
	},
}
