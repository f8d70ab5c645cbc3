// Package world is what the shop cannot roll back: a card provider and the
// mailboxes of its customers, on one HTTP address, one SMTP address and a
// database of their own.
//
// # Why it must be believable
//
// The promise of payonce is judged by what the outside world can see, so the
// outside world is not allowed to help. Called twice with two keys, or without
// a key, the provider charges twice. It keeps every charge it ever made, also
// the ones that the shop would like to forget. It loses answers, stumbles and
// goes down, and it does not know the shop: nothing here imports it, and
// nothing in the shop reads this database.
//
// # What it promises
//
//   - One Idempotency-Key, one charge: the answer is stored with the charge in
//     one statement and replayed byte for byte (Idempotent-Replayed: true).
//   - A key with another request is refused with 422, a twin of a running
//     request with 409. Neither says anything about the charge.
//   - Only outcomes are stored: a charge, a decline, a cancelled key. After
//     400, 402 invalid_token, 409, 422, 429, 5xx or silence the key is as it was.
//   - POST /v1/charges/cancel leaves a tombstone that refuses every late arrival
//     (410), or says what the key has already done.
//   - A signed webhook reports what became of a charge or a refund, at least once
//     and in no order, tried again for 75 h 35 min (POST /v1/behaviour doubles,
//     shuffles, delays and loses them). A charge and its message are one statement;
//     a refund's message stands behind it and is made again when the key is asked
//     again. GET /v1/webhook-deliveries is the log.
//   - A mail is answered with 250 after it is committed. Mailboxes dedupe on
//     Message-ID and count the deliveries.
//
// It does not promise that a 500 means nothing happened. Like with any real
// provider, the caller asks by its key.
//
// Mutants of this package do what other providers do, and what none may:
// internal/lab/mutants/planted_provider.go. So the shop is not built for this one
// alone.
//
// # Its tables
//
// charges and charge_keys are the provider's books; card_tries remembers which
// first tries the misbehaving cards have spoilt. mail_arrivals holds every
// delivery, mail_messages what a person sees of them, mail_greylist who has
// been sent away once. All are one migration in this folder.
//
// # Killed at any moment
//
//	killed                          then
//	while a slow card waits         nothing was charged; the next try charges
//	before the charge's statement   the same
//	after it, before the answer     the next try with the key gets the answer
//	after a lost answer             the same; without a key it charges again
//	while a webhook is sent           it is sent again after its lease of 30 s
//	between two cancels             the tombstone is there or it is not
//	before a mail's statement       no 250 was sent: the sender tries again
//	after it, before the 250        one message, and a second delivery
//
// The package opens no transaction: each change is one statement, whole or
// not at all, and each is idempotent by construction because database/sql may
// run it twice.
package world
