// Package retention gives dedupe rows their life: partitions that are there
// before the first row needs them, windows that are long enough, and an end.
//
// # The problem
//
// A dedupe row must outlive the last way on which its duplicate can come back;
// a row that goes too early is a second effect. A row that never goes fills the
// disk, and a DELETE of a million rows stalls everybody.
//
// # The promise
//
// [Lint] compares the windows in pairs and names each that is too short; every
// process runs it at start and refuses to work. Retention is the dedupe window.
//
// Two tables are cut into one partition a day by the time inside their UUIDv7
// keys, outbox_events and consumer_inbox, so that forgetting is a DROP. A row
// without a partition cannot be written. So a capture asks in its first transaction
// whether today and tomorrow are there, and is refused before the charge when they are
// not; [WatchDays] alerts, and a worker makes what can be made within a minute.
// [MakeAhead] keeps thirty days in stock, made by every migration and hourly by any
// worker; [DaysLeft] is what readiness asks.
//
// A [Keeper] removes what is over. A day goes when its last event is older than
// the window and none is unpublished, which is looked at under a lock that
// nobody waits for longer than 50 ms; else it stays, and an alert is raised.
// Other tables lose a thousand rows at a time, each thousand in a transaction of
// its own, each table on a timer of its own. Open dead letters never expire, and
// neither do business keys: orders, tickets, ledger, mails. They are the last
// line.
//
// With an archive folder, a day's source events are in a file before the day is
// dropped: compressed JSON lines, read back, flushed to disk and only then given
// their name. A file under its name is whole.
//
// # What is not promised
//
// That a late duplicate is still recognised after its window: it is refused to a
// person (older_than_dedupe_window), who may have it applied by its business
// key. That an archive is complete when somebody writes events with ids of last
// week. That days go to the minute: hourly, and later when the table is busy.
//
//	killed here                        then
//	before a transaction commits       nothing was made or removed; the next run does it
//	in the middle of an archive        a file called .partial, which nobody reads and the
//	                                   next day's run removes; the day stays
//	after the archive, before the drop the next run writes the same file again, then drops
//	after the drop                     nothing is left to do
package retention
