// Package oncepq is the adapter of payonce/once for database/sql with lib/pq.
//
// [Open] makes a pool that the patterns and the caller's own code share; [New] takes
// one that exists. Statements are constants in this house, so each is prepared once on
// each connection that runs it; a statement that the pool does not know yet runs
// unprepared in its first transaction, because preparing would take a second connection.
//
// Sessions of [Open] carry timeouts for locks, statements and idle transactions, so
// that a process that was stopped in the middle cannot hold up others without end, and go
// to the primary only: a replica is behind, and what is decided from it is decided from
// the past.
package oncepq
