// Package call makes an effect outside of the database happen once: a charge, a label at
// the courier, an account at another company.
//
// # The problem
//
// No transaction reaches there. Called before the commit, the effect stands for a change
// that may be rolled back; called after it, it is lost with the process. And an answer
// that does not come says nothing: it was done, or it was not.
//
// # The promise
//
// The call stands between two commits, under a key that never changes:
//
//	1  [Attempts.Begin], in the transaction of the change that wants the effect:
//	   attempt n with its key and a lease                                       commit
//	2  the call, under that key                                   no transaction is open
//	3  the outcome, with everything that follows from it                        commit
//
// Then, whatever dies and whatever is lost, if the outside does each key once:
//
//   - for one subject the effect happens once; another attempt begins only after one that
//     certainly did nothing;
//   - an attempt ends: done, refused, or given up with a tombstone at the outside. Until
//     then it is looked after, by its holder or by [Runner.Sweep];
//   - "unknown" is never taken for "no": an attempt without an answer is asked about by
//     its key before anything is sent again;
//   - the outcome and what the program writes because of it are one transaction, which
//     happens once: a holder whose lease was taken over has an old fence, changes nothing
//     and gets what is stored;
//   - an answer that contradicts the stored outcome is never applied and never dropped: it
//     becomes trouble, and no new attempt begins for that subject until a person has
//     decided ([Attempts.Decide]), who is not believed against the outside.
//
// # What is not promised
//
// Anything, of an outside that does not know keys. That the effect is quick: what is in
// doubt waits for the schedule ([Config.Doubt]). That the outside lists what it has done
// completely: [Outside.Ask] says "unknown key" only when it has read to the end.
//
// # Killed here, then what
//
//	before 1 commits    nothing happened
//	between 1 and 2     the lease ends; the sweep asks, the outside does not know the key,
//	                    and the same key is sent
//	between 2 and 3     the lease ends; the sweep asks, learns what was done, and commits it
//	during 3            unknown until read: committed, or as the line above
//	after 3             nothing is left to do
//
// # What an outside has to have
//
// A key of the caller's under which it does a thing once, and a way to ask by that key.
// Without the second, [Outside.Ask] may send again: the key makes that the same question.
// Without the first there is no way to be safe, here or elsewhere.
//
// Of an outside that speaks HTTP, what [Outside.Send] says of its answers, as a rule:
//
//	2xx                                   Done, with its name of the effect
//	402, 409, 422 that means "no"         Refused: an outcome, which the program tells on
//	401, 403, 404, another 400            ErrRefused: a bug or a setting of ours
//	408, 429, 5xx, no or half an answer   the error as it is: it is asked about
//	no connection came about              ErrNotSent, if the client can tell for certain
//
// # With the keys of clients
//
// A client that may repeat its request has a key ([payonce/once/idempotency]); the two
// go together statement by statement, and examples/foreign is such a program:
//
//	a known key  answered, or its attempt recovered ([Runner.Recover])
//	1            Keys.Claim, the change, [Attempts.Begin], Keys.Bind with the attempt's number
//	2            the call
//	3            in [Attempts.Ended]: what follows, and Keys.Complete; in Released: Keys.Release
//
// [payonce/once/idempotency.ErrTaken] means look again, [ErrAttempted] that another
// request has begun it. The lease of such a key says nothing, because recovery goes by the
// attempt's. In [Config.Landed] a [payonce/once/outbox.Waker] is woken, and with
// [payonce/once/idempotency.Flights] the twins that wait in this process for one answer.
//
// # Whose tables
//
// [Attempts] is the table of payonce/once/schema, one statement after the other in plain
// transactions. A program whose attempts stand in tables of its own, or which folds a
// transaction into one statement, gives a [Store] of its own; the protocol is this
// package's in both.
//
// Read first: run.go, then recover.go, then attempts.go, then decide.go.
package call
