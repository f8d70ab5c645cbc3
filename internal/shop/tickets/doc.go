// Package tickets gives a paid order its tickets: one row for each seat of each
// line, once, however often its event is delivered.
//
// The rows are the dedupe. (order, line, number) is unique, so a second delivery
// of payment.captured that gets past the inbox finds the seats taken and adds
// none. The event tickets.issued is written in the same transaction as the rows,
// and only by the delivery that inserted them: no tickets without the news, no
// news without the tickets, and one of each.
//
// A code is sixteen random characters (80 bits), written so that a person can
// read it out: no I, L, O or U, groups of four. It is random and not computed
// from the order, because uniqueness already comes from the row: a computed code
// would need a secret whose loss gives away every ticket ever sold, and whose
// rotation would change the codes of tickets that are issued again. A
// transaction that runs twice draws twice; only the codes that commit exist.
//
// A refund that leaves nothing paid voids an order's tickets, all or none,
// and remembers which refund it was; should the provider refuse, the same ones
// are reinstated. [Door] lets people in: a used ticket refuses to be voided, a
// void one to be used, and the row decides who was first.
//
// The package owns the table tickets. It reads nothing of checkout's.
//
//	killed here                      then
//	before the transaction commits   no ticket, no event; the broker redelivers
//	after commit, before the ack     the broker redelivers; the inbox absorbs
package tickets
