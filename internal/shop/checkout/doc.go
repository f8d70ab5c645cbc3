// Package checkout turns an order into exactly as many charges as were meant:
// one. It alone writes orders, payments and payment_attempts.
//
// # A capture, step by step
//
//	    POST /v1/payments/{id}/capture, Idempotency-Key K
//	1   K known? replay its answer, or join the run that is under way   one read
//	2   tx1: payment → capturing, attempt n, key K claimed              commit
//	3   charge at the provider under "capture:<payment>:<n>"            no transaction is open
//	4   tx2: attempt n and payment → captured, order paid,
//	    payment.captured in the outbox, K's exact answer                commit
//	5   wake the relay, answer
//
// capture.go reads in this order, statement by statement. The programs have each of the
// two transactions done by one statement ([Config.Folded], folded.go), made of the same
// parts. The reply to either can be lost, and a statement can be run twice by the driver:
// tx1 is recognised by its claim token, tx2 by the state, attempt number and fence that
// it leaves behind.
//
// # Killed here, then what
//
//	before tx1 commits     nothing happened
//	between tx1 and 3      the lease ends; recovery asks the provider, which has
//	                       never heard of the key, and sends again with the same key
//	between 3 and tx2      the lease ends; recovery asks, hears "charged", runs tx2
//	during tx2             unknown until read: committed, or as the line above
//	after tx2              the retry reads the stored answer
//
// # Another key, another card
//
// A payment is charged once, whatever number of keys and cards ask for it. A
// request with another key while attempt n is on its way waits for its outcome. A
// charge is the outcome of every request: the answer says Payonce-Matched, and
// "other-card" where the card that was asked with was not sent. A decline is that
// card's alone: the same card gets it, another one opens attempt n+1. While n is
// in doubt no other card is sent; the answer is 202, and nothing is stored.
//
// # The protocol and its statements
//
// What follows on what is package [payonce/once/call]'s: steps 3 and 4, recovery and the
// sweep. This package has the call and the two transactions (capture.go), the question
// (recover.go) and the statements of recovery (attempts.go). What a delivery gets that
// runs nothing is in duplicate.go.
//
// # Recovery
//
// One function, [Service.Recover], with three causes: a client's retry, the
// [Sweeper]'s interval, and a message of the provider, which makes the question
// due and wakes the sweeper ([Notices]). It always speaks of one attempt and asks
// by that attempt's own key. Asking by the payment's reference would let attempt
// 1's decline answer for attempt 2's running charge.
//
// An outcome that contradicts a stored one is never applied and never dropped:
// the stored outcome stays, an alert carries both facts, and no new attempt may
// start until a person has decided.
//
// # Charges and refunds that we did not ask for
//
// A charge counts as its amount less its refunds ([provider.Hold]): one that was
// wholly given back is not alive, whatever it is compared with. A charge for a
// payment that no attempt asked for marks the payment, so that the next attempt
// asks first ([Notices]); a refund that was not asked for here is taken from the
// payment as it is ([Service.TakeRefund]).
package checkout
