package audit

import "context"

// A check is an invariant and how offenders against it are found.
type check struct {
	id        string
	kind      Kind
	statement string
	query     string // the name of the constant that holds the query
	sql       string // its text, as a reader is shown it
	find      func(ctx context.Context, p *pass) ([]violation, error)
}

// checks are the invariants whose parts exist, in the order of the design.
var checks = []check{
	{
		id: "one_charge", kind: Safety, query: "factsSQL", sql: factsSQL, find: oneCharge,
		statement: "The provider holds at most one live charge per payment.",
	},
	{
		id: "charge_matches", kind: Liveness, query: "factsSQL", sql: factsSQL, find: chargeMatches,
		statement: "Every charge and every refund at the provider, ours or made by hand, belongs to a captured payment and a refund of the same amount, or went back as a whole, and the reverse, or an open alert names it.",
	},
	inSQL("stored_outcome", Safety, "storedOutcomeSQL", storedOutcomeSQL,
		"Every completed key's stored answer names a state that its payment has or passed through."),
	inSQL("ledger_zero", Safety, "ledgerZeroSQL", ledgerZeroSQL,
		"Each ledger transaction and the whole book sum to zero per currency."),
	inSQL("ledger_once", Liveness, "ledgerOnceSQL", ledgerOnceSQL,
		"Each captured payment has exactly one capture transaction in the ledger, and no other payment has one; each refund has exactly one settlement, or a released hold, or, made at the provider, one transaction of its amount; nothing is held for no refund, or for one that has ended."),
	{
		id: "one_mail", kind: Liveness, query: "mailsOwedSQL", sql: mailsOwedSQL, find: oneMail,
		statement: "Each receipt, each notice and each refund's outcome has exactly one message in the mailbox.",
	},
	inSQL("tickets_once", Liveness, "ticketsOnceSQL", ticketsOnceSQL,
		"Each captured order has exactly its tickets, and no other order has any. None is good when nothing is left of the payment, or an alert names one that was used; none is void while something is."),
	inSQL("outbox_drained", Liveness, "outboxDrainedSQL", outboxDrainedSQL,
		"No event waits in the outbox for more than 10 s."),
	inSQL("inbox_complete", Liveness, "inboxCompleteSQL", inboxCompleteSQL,
		"Every published event was applied by every consumer bound to it, or is a dead letter that is open or that a person gave up."),
	{
		id: "books_agree", kind: Liveness, query: "factsSQL", sql: factsSQL, find: booksAgree,
		statement: "What the provider holds for us is what the ledger says it owes us, or an open alert names the difference.",
	},
	inSQL("refund_bound", Safety, "refundBoundSQL", refundBoundSQL,
		"What went back of a payment and what is reserved to go back is at most what was captured, in every book."),
	inSQL("saga_settled", Liveness, "sagaSettledSQL", sagaSettledSQL,
		"Every saga is completed or compensated, with no hold, reservation or voided ticket left over, or an open alert names it."),
	inSQL("no_lost_event", Safety, "noLostEventSQL", noLostEventSQL,
		"Every state change of a payment, an order, a refund or a saga has its event in the outbox, numbered without gaps."),
}

// inSQL is a check that our own tables can answer: its query returns offenders.
func inSQL(id string, kind Kind, name, text, statement string) check {
	q := scoped(text)
	return check{
		id: id, kind: kind, statement: statement, query: name, sql: text,
		find: func(ctx context.Context, p *pass) ([]violation, error) {
			var found []violation
			err := p.rows(ctx, q, &found)
			return found, err
		},
	}
}
