// Package retention gives dedupe rows their life: partitions that are there
// before the first row needs them, and windows that are long enough.
//
// A dedupe row must outlive the last way on which its duplicate can come back;
// a row that goes too early is a second effect. [Lint] compares the windows in
// pairs and names each that is too short; every process runs it at start.
//
// Two tables are cut into one partition a day by the time inside their UUIDv7
// keys, outbox_events and consumer_inbox, so that forgetting will be a DROP and
// not a DELETE. A row without a partition cannot be written, and a partition
// that is missing when the second transaction of a capture wants to write its
// event would break it after the charge. [MakeAhead] keeps thirty days in stock,
// made by every migration and hourly by any worker; [DaysLeft] is what readiness
// asks.
//
// Not promised here: dropping. This package only makes partitions.
//
//	killed here                      then
//	before the transaction commits   nothing was made; the next hour, or another process, makes it
//	after it                         what exists is left alone by the next run
package retention
