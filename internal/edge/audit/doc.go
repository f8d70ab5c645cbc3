// Package audit says whether what must hold does hold: the shop's invariants as
// named checks, each of which answers with the ids that break it.
//
// A check reads; it never repairs. It is SQL, or SQL joined with what the
// outside world says: the provider's books, asked through its API, and in lab
// builds the mailbox. The shop's tables alone could only confirm the shop's own
// opinion, and a second charge is by definition one that they do not know.
//
// # Two kinds
//
// Safety must hold at every moment. Liveness must hold once things have had
// their time: what is younger than [Options.Grace] is under way and not
// counted, so a normal capture is never shown red. The outbox is held to 10 s.
//
// # What is not observable is not proof
//
// A check whose witness cannot be asked (no mailbox in production, a provider
// that is down) has Observable and OK false and says why in Unseen. It does not
// make [Report.OK] false, because nothing was found broken; it does make
// [Report.Proven] false, which is what a test or a chaos run asks for.
//
// # Whose, and how much
//
//	question            own rows                     others
//	Check(merchant)     newest 500 payments and all  counted, never named: those
//	                    that hangs on them           among the newest 500 of all
//	CheckAll (operator) everything                   none: everything is shown
//
// Bounded, because a visitor may ask at any rate: an answer is cached for
// [Options.Every], the count of others five times as long, and any number of
// callers who ask at once make one pass. The mailbox is read back to the
// oldest order in scope. The outside is asked before our own tables are read,
// so that a capture that runs meanwhile is seen as young and not as a
// difference.
//
// # Held by an alert
//
// Some differences are for a person to decide (the provider contradicts a stored
// outcome; a mail server refused a receipt for good). charge_matches,
// books_agree, one_mail and saga_settled count such a difference as held while an
// open alert names it, and only then: the provider's object (a charge by its id or
// its key, a refund by its id or its reference) with its amount and its currency,
// the mail, or the saga. An alert about another object of the same payment, or
// over another amount, excuses nothing; nor does one that is resolved too early.
// A charge of no payment is held by the alert about it alone
// (provider_unknown_charge).
// A used ticket of which nothing is paid any more cannot be taken back:
// tickets_once requires its alert (ticket_used, whose subject is the order),
// open or resolved.
//
// Every check is tested by planting what it looks for: docs/invariants.md is the list
// of planted faults, each with the invariants that turn red for it.
package audit
