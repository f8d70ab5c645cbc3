// Package reconciliation finds what no message said: it lists what happened at
// the provider yesterday and today (UTC), ours or made by hand, and gives what our books
// do not agree with to the same code that handles the provider's messages. So a webhook
// that was lost is found within one turn, and a charge or a refund that a person made at
// the provider is booked, or is an alert.
//
// Both lists are read to their end or the turn has failed: a part of a list proves
// nothing of the rest. Charges are listed before refunds, so that a charge counts
// as its amount less what had gone back by then; one of which nothing is left is
// ignored. The audit finds the reverse: what we booked and the provider does not
// have.
//
// One worker at a time has the turn, by a lease, and no transaction is open while
// the provider is asked. Everything that a turn does is idempotent: a worker that
// lost its lease in the middle does no harm.
package reconciliation
