// Package faults arms a crash point wherever it is met: in one of several api,
// relays or workers, and once in all.
//
// Package fault knows one process. A visitor knows none: the double-click goes
// to some api, the event to the relay that owns it, the message to any worker.
// So what is armed stands on a board, two tables in a schema of its own that lab
// builds make for themselves, and each process of a lab build looks at it.
//
//	POST /v1/lab/faults ──▶ board ──every 200 ms──▶ api, relay, worker, …
//	                          ▲                        │ a hit that may be meant
//	                          └────── claims it ◀──────┘
//
// [Board.Arm] returns when every process that looks has seen the arm, so the
// next click meets it. A hit is counted, and a fault claimed, in a transaction
// that commits before anything happens: the claim says whose it was, and no
// second process dies of it. While the database is away nothing fires.
//
// A board has connections of its own. A hit inside a business transaction must
// not wait for that transaction's pool.
package faults
