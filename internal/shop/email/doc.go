// Package email writes the shop's mails and sends them: an effect in an
// external system, where no transaction reaches.
//
// It is done in two steps that fail apart:
//
//	payment.captured ─┐                       ┌─ lease ── SMTP ── mark sent
//	payment.declined ─┴─ Consumer ─ [queued] ─┤
//	                     (inbox transaction)  └─ Mailer, woken after the commit
//
// [Consumer] queues a mail in the inbox's transaction, so a mail is owed exactly
// when the event was applied. One row per template and business key: one receipt
// for a payment, one notice for each declined attempt.
//
// [Mailer] leases due mails, sends each outside every transaction and marks it,
// guarded by the lease's token, while the next one is sent. A mail is sent at least once.
//
// # What is promised, and the window that remains
//
// The text, the date and the Message-ID of a mail (<receipt.pay_…@payonce>) are
// fixed when it is queued. However often it is sent, it is the same message, and
// a mailbox that dedupes on Message-ID shows it once.
//
// Not promised is that it is sent once. Between the mail server's "250 accepted"
// and our commit of "sent" lies a window that cannot be closed: SMTP cannot ask
// "have you got this one?". A mailer that crashes in this window, or never
// receives the 250, sends the message again. A mailbox that does not dedupe
// (Gmail does, many do not) then shows it twice. At most two mails of a mailer are in the
// window at a time: one that is being marked, one that is being sent. Marking before sending would
// close the window by losing mails instead.
//
//	killed here                        then
//	before the inbox commits           nothing is queued; the broker redelivers
//	queued, before the lease           the poll finds it
//	leased, before SMTP accepts        the lease runs out; sent once
//	accepted, before "sent" commits    the lease runs out; sent again, same Message-ID
//	after "sent" commits               nothing is left to do
//
// A server that refuses the recipient or the message for good (5xx) makes the
// mail failed, with an alert. A mail that it does not take now (4xx) is tried
// again on a schedule whose last delay repeats; once the schedule has been walked
// through, an alert says that the mail is late, and it stays owed. While the
// server is away no mail is to blame: all of them stay due, the mailer tries one
// of them less and less often, and sends everything when that one is accepted.
//
// The package owns the table emails; into alerts it only inserts.
package email
