// Package once is the root of the patterns of effective-once processing: many attempts,
// one effect.
//
// It holds what all of them need and nothing else: the transaction ([Tx]), the database
// ([DB], which an adapter implements) and what an error of the server means. It imports
// the standard library only.
//
// # Which transaction
//
// A pattern writes in the transaction of the change that it speaks of. Where the
// caller's code begins that transaction it hands it over with [SQL] (database/sql, sqlx)
// or oncepgx.Tx (pgx); where a pattern needs one of its own it takes a [DB].
//
// # After a lost COMMIT
//
// When the connection breaks while the COMMIT is on its way, the transaction may or may
// not be durable ([ErrCommitUnknown]). The code that began it reads to find out. Running the
// work again is right only where the work itself is deduped by a key.
package once
