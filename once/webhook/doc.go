// Package webhook takes signed messages from a stranger, each once, whatever
// their order.
//
// # The problem
//
// A provider reports what happened by calling us. Any other client can call us too. The
// provider repeats a message until it gets a 2xx, also when the 2xx was lost on
// its way; it tries for days, and an older message may come after a younger one.
// A receiver that answers before it has stored loses the message with its next
// crash, and one that works before it answers is repeated while it still works.
//
// # The promise
//
// A message is believed when its signature fits its raw bytes and its timestamp
// is not far from now ([Verifier.Verify]). It is then written down, in one
// transaction with whatever it starts ([Receipts.Receive]), and only then answered with a
// 2xx. Then:
//
//   - a message that was not signed with one of our secrets changes nothing, and
//     neither does a signed one whose bytes were touched or that was kept back
//     for longer than the tolerance;
//   - a message that got a 2xx is durable together with its consequence;
//   - a message that comes again is recognised by its id, for as long as receipts
//     are kept, and starts nothing.
//
// Signatures follow the Standard Webhooks specification: the headers webhook-id,
// webhook-timestamp and webhook-signature, and HMAC-SHA256 over
// "id.timestamp.body". Several secrets may be valid at the same time, which is
// how one is replaced by another without losing a message in between.
//
// # What is not promised
//
// Order, and that a message comes at all: it is a hint to look, and a receiver
// that needs the truth asks for it. Freshness beyond the tolerance: a copy that
// is sent again within it passes the signature and is caught by the receipt.
// Memory beyond the receipts' retention, which must therefore exceed the sender's
// whole schedule.
//
// # One message
//
//	arrives ─▶ size ─▶ signature ─▶ timestamp ─▶ receipt + consequence ─▶ 2xx
//	             │         │            │               │
//	            413       401          400     known id: 2xx, nothing new
//	                                           other bytes under a known id:
//	                                           2xx, nothing new, an alert
//
// The signature is checked before anything else is believed, also before the
// timestamp: an unsigned message proves nothing.
//
// # Killed here, then what
//
//	before the receipt commits     nothing happened; the sender gets no 2xx and repeats
//	during its commit              unknown; the repetition finds out
//	after it, before the 2xx       the sender repeats; the receipt recognises it
//	after the 2xx                  nothing is left to do
//
// # Tables
//
// webhook_receipts, one row per provider and message id: payonce/once/schema.
//
// Read first: webhook.go (is it theirs), receipt.go (is it new).
package webhook
