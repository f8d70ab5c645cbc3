package main

// canonical is the design's list of bugs that a checker must catch, each with
// the mutant that plants it.
var canonical = []struct{ bug, mutant string }{
	{"mandatory off", "not-mandatory"},
	{"recovery by reference instead of by attempt", "recovery-by-reference"},
	{"relay by id cursor", "relay-by-id-cursor"},
	{"mark before confirm", "mark-before-confirm"},
	{"ack before commit", "ack-before-commit"},
	{"claim after charge", "claim-after-charge"},
	{"random provider key per attempt", "random-provider-key"},
	{"stored body as jsonb", "stored-body-as-jsonb"},
	{"request context in the finalise", "client-cancels-finalise"},
	{"refund without row lock", "refund-without-row-lock"},
	{"inbox partitioned by processed_at", "inbox-by-processed-at"},
	{"2xx before the receipt commits", "2xx-before-receipt"},
	{"signature over re-serialised JSON", "signature-over-reserialised-json"},
	{"write outside a transaction", "write-outside-a-transaction"},
	{"ack across a reconnect", "ack-across-a-reconnect"},
	{"drop-head queue", "drop-head-queue"},
	{"no fencing token", "unconditional-finalise"},
	{"blind re-run after a failed COMMIT", "blind-rerun-after-failed-commit"},
	{"merchant missing from the key's primary key", "merchant-missing-from-the-key"},
	{"retention shorter than the way back", "short-retention"},
	{"undos in forward order", "undos-in-forward-order"},
}
