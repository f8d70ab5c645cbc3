// Package ledger is the shop's double-entry book: what happened to money, kept
// so that it cannot be lost, doubled or quietly changed.
//
// A captured payment becomes one transaction of two entries:
//
//	debit   provider_clearing   +8400 EUR   the provider owes us
//	credit  revenue             -8400 EUR   we earned it
//
// A refund becomes two; the provider decides which the second one is:
//
//	hold     debit revenue       credit refunds_held        it may go back
//	settle   debit refunds_held  credit provider_clearing   it did: the provider owes us less
//	release  debit refunds_held  credit revenue             it did not
//
// The hold is the book's own bound: it locks the payment's capture and refuses
// what would exceed what is left, for every caller.
//
// Three promises, and who keeps each:
//
//   - Once. A transaction names its business cause ("capture:pay_…"), which is
//     unique and never expires. The inbox absorbs a redelivered event; the
//     business key absorbs what comes after the inbox has forgotten, or under
//     another event id. The same cause with other amounts is
//     [ErrContradiction], never a second transaction and never a silent
//     success.
//   - Balanced. The entries of a transaction sum to zero per currency. The
//     database checks it at commit, so no code here can get it wrong.
//   - Immutable. Triggers refuse UPDATE, DELETE and TRUNCATE. A mistake is
//     corrected by a further transaction.
//
// Not promised: an order among transactions. A capture is a fact; it is posted
// whenever its event arrives.
//
// The package owns ledger_accounts, ledger_transactions and ledger_entries.
// [Consumer] writes them inside the inbox's transaction, [Book] reads them.
//
//	killed here                      then
//	before the transaction commits   nothing was posted; the broker redelivers
//	after commit, before the ack     the broker redelivers; the inbox absorbs
package ledger
