// Package idempotency gives a keyed request one outcome, however often it is
// delivered.
//
// # The problem
//
// A client that gets no answer asks again: a double-click, a retrying gateway,
// a phone that lost its network after the request was carried out. The server
// cannot tell a repetition from a new intent unless the client names the intent.
// It does so with a key that it makes once and sends with each delivery.
//
// # The promise
//
// For one key within one scope (a tenant) and within the key's lifetime:
//
//   - at most one delivery runs the operation at a time; where the effect is outside, a
//     holder that outlives its lease may still be calling, and completes nothing;
//   - once an outcome is stored, every later delivery gets exactly its bytes,
//     for the price of one indexed read: no transaction, no lock, no write;
//   - another request under the same key is refused; the refusal names the
//     fields that differ and not their stored values; an operation that finds
//     its effect by a business key after the key is gone says the same, see
//     [Request.Match];
//   - the outcome is stored in the same commit as the effect it speaks of.
//
// # What is not promised
//
// After its answer's lifetime a key is new again; an operation that must converge
// after that too needs a business key of its own beneath this one. A key that the
// client makes anew for each retry is no key. And an effect outside the database
// is not in its commit: see the second shape.
//
// # Three states
//
//	          claim                    complete
//	(absent) ───────▶ running, fence n ────────▶ completed
//	  ▲  ▲               │   │  ▲                   │
//	  │  │   release     │   └──┘ take over:        │
//	  │  └───────────────┘        lease over,       │
//	  │                           fence n+1         │
//	  └─────────────────────────────────────────────┘
//	              expired: lifetime over
//
// Only an answer expires. A run has no end but its outcome, however long it
// takes, and an outcome that comes late is kept from then on, for the lifetime less a
// lease. One
// condition says what has expired; look-up, claim, completion and retention
// all use it, and a look-up removes nothing.
//
// # Two shapes
//
// [Keys.Do] is for an effect that is ours alone: claim, effect and outcome are
// one transaction. A crash leaves nothing; a twin waits on the unique index and
// reads the winner.
//
// For an effect outside, claim and intent commit first, then comes the call, then effect
// and outcome commit together. [Keys.Claim], [Keys.Bind], [Keys.Complete] and [Keys.Release] do
// the key's part in the caller's transactions, statement by statement: the key first, then the
// change that it guards; [ErrTaken], and a change that finds nothing to change, oblige the
// caller to roll back.
//
// [Table.ClaimFrom] and [Table.CompleteFrom] are the same as SQL to be folded into the
// caller's own statement, for one round trip. That claim has no ON CONFLICT
// on purpose: a key that exists must undo the state change beside it. (Folded
// with ON CONFLICT DO NOTHING, one key sent to two resources left both claimed
// with one key row between them.)
//
// # Killed here, then what
//
//	before the claim commits          nothing happened; the retry runs as new
//	between claim and call            lease ends; the next caller takes over
//	between call and complete         the same; the taker asks the outside world
//	                                  what became of the call, it never assumes
//	during complete                   unknown until read; the statement may run twice
//	after complete, before answering  the retry gets the stored bytes
//
// # Tables
//
// idempotency_keys, one row per scope and key: payonce/once/schema. A program with a table of its
// own names it and its column of the scope ([Table]). Response bodies are bytes: jsonb
// reorders fields and refuses some strings, and then a replay is not the answer.
//
// Read first: idempotency.go (what both shapes stand on), do.go (statement by statement),
// table.go (folded).
package idempotency
