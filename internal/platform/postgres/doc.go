// Package postgres is the one way this house talks to its database.
//
// Three rules are types here, so that breaking them does not compile or fails
// at the first call:
//
//   - A write stands in a transaction opened by [InTx], or is a single
//     statement that is idempotent by construction and registered as such with
//     [Guarded]. [DB] has no Exec, and its reads refuse statements that write; what
//     [DB.Once] lends to the patterns of once does not.
//   - [Tx] is sealed: it can query, it cannot commit, and nobody outside this
//     package can make one. A function that takes a Tx is therefore only
//     callable inside a transaction; handing it the pool does not compile.
//   - A failed COMMIT is not a failed transaction. If the server's answer was
//     lost the error is [once.ErrCommitUnknown]: read to find out.
//
// Why single statements are dangerous: database/sql silently runs a statement
// again when the connection breaks after the server committed it (seen with
// lib/pq 1.12: two rows, no error). A Guarded statement is written so that its
// second run changes nothing; a test runs every registered one twice.
//
// Every session carries lock, statement and idle-in-transaction timeouts, so a
// process that was stopped in the middle cannot hold its twins for ever.
package postgres
