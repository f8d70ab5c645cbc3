// Package oncepgx is the adapter of payonce/once for pgx.
//
// [New] takes the caller's pool. Give its sessions timeouts for locks, statements and
// idle transactions, as [Configure] does, so that a process that was stopped in the
// middle cannot hold up others without end. [Tx] takes a transaction that the caller
// began.
package oncepgx
