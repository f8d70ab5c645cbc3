// Package retention gives dedupe rows their life: days that are there before the first row
// needs them, windows that are long enough, and an end.
//
// # The problem
//
// A dedupe row must outlive the last way on which its duplicate can come back;
// a row that goes too early is a second effect. A row that never goes fills the
// disk, and a DELETE of a million rows stalls all other work.
//
// # The promise
//
// [Lint] compares the windows in pairs and names each that is too short; a program runs it
// at start and refuses to work. Retention is the dedupe window.
//
// Two tables are cut into one partition a day by the time inside their UUIDv7 keys,
// outbox_events and consumer_inbox, so that forgetting is a DROP. A row without a partition
// cannot be written: [MakeAhead] keeps [Ahead] days in stock, and [DaysLeft] says how many
// there are.
//
// A [Keeper] removes what is over. A day goes when its last event is older than the window
// and none is unpublished, which is looked at under a lock that no query waits for longer
// than 50 ms; else it stays, and trouble is raised. Other tables lose a thousand rows at a
// time, each thousand in a transaction of its own, each table on a timer of its own. Open
// dead letters never expire.
//
// # What is not promised
//
// That a late duplicate is still recognised after its window: package inbox refuses it to a
// person. That days go to the minute: hourly, and later when the table is busy.
//
//	killed here                        then
//	before a transaction commits       nothing was made or removed; the next run does it
//	after the drop                     nothing is left to do
package retention
