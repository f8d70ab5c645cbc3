// Package retention keeps the shop's tables: what is the patterns' by [keep.Keeper], with the
// functions that the tables' owner gives; the shop's own rows; and an archive.
//
// A capture asks in its first transaction whether today and tomorrow are there, and is
// refused before the charge when they are not; [WatchDays] alerts, and a worker makes what
// can be made within a minute. Every migration makes thirty days ahead, and any worker does
// so hourly; readiness asks [DaysLeft].
//
// Business keys never expire: orders, tickets, ledger, mails. They are the last line.
//
// With an archive folder, a day's source events are in a file before the day is
// dropped: compressed JSON lines, read back, flushed to disk and only then given
// their name. A file under its name is whole.
//
// # What is not promised
//
// That a late duplicate is still recognised after its window: it is refused to a
// person (older_than_dedupe_window), who may have it applied by its business
// key. That an archive is complete when a process writes events with last week's
// ids. That days go to the minute: hourly, and later when the table is busy.
//
//	killed here                        then
//	before a transaction commits       nothing was made or removed; the next run does it
//	in the middle of an archive        a file called .partial, which is never read and the
//	                                   next day's run removes; the day stays
//	after the archive, before the drop the next run writes the same file again, then drops
//	after the drop                     nothing is left to do
package retention
