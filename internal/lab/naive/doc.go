// Package naive is the same checkout in the same stack with none of the patterns,
// to show what they are worth.
//
// It sells the same tickets through the same provider, broker, database and
// mailbox, from tables of its own in the schema naive: no keys, the provider
// called under a key made anew each time, the event published after the commit by
// the process that made it, consumers that acknowledge first, a refund that
// undoes only the steps that answered. Nothing in it is broken on purpose: it is
// what a checkout looks like before its first bad day.
//
// # Eight guards
//
// A checkout is made with a set of guards, which travels with it: in its row, and
// in each of its messages. A guard that is on is the real part, from
// once, on the naive tables: the pool's search_path says naive first,
// so that idempotency_keys, outbox_events, consumer_inbox and sagas are twins of
// the shop's. A guard that is off leaves the line that people write without it.
// The shop has no such switches; see [Guards].
//
//	buyer ──▶ capture ─key─business key─▶ provider ─provider key
//	             │ commit
//	             ├─ outbox ──▶ relay ──confirms──▶ queues ──inbox──▶ ledger, tickets, mail
//	             └─ or: publish, and hope
//
// # Troubles
//
// A checkout may be born with troubles ([Trouble]): an answer that gets lost, a
// message that comes twice. Each strikes once and only its checkout, whatever
// process meets it, so visitors do not influence each other. No process dies:
// instead one request ends and forgets where it was. The stories say so.
//
// # Who counts
//
// Charges and refunds are counted in the provider's books, mails in the mailbox.
// The naive shop has an account of its own at the provider (see package world), so
// its double charges do not stand in the shop's books.
package naive
