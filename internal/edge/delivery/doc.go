// Package delivery watches over events that left the outbox: whether each consumer
// has applied what the broker confirmed, and how it gets it once more.
//
// # The problem
//
// A confirm says that the broker has a message on disk, and then the disk, a purged
// queue or an operator loses it. The outbox has it marked, so no relay sends it again.
//
// # The promise
//
// A [Watch] looks at every published event once it has had its time: the retry
// schedule, and some more. What a consumer has neither applied nor given to a
// person by then is one open alert for that consumer, whose facts say how many they
// are and when they were born. It ends when the last of them is applied. A consumer that
// is merely behind is no alert: it applies, and all that it has applied left before the
// event. Once it has applied what left later, by the same time, the event was passed.
//
// [Resend] sends a consumer's events of a time again: to its queue alone, under
// their own ids, so that its inbox absorbs what it has. Events that wait for a person
// as dead letters, or that a person gave up, are left to that person. [TakeBack] takes
// back what has not left yet, as a letter's replay is.
//
// # What is not promised
//
// More than the outbox remembers: an event whose day was dropped cannot be sent
// again from here, and is not watched any more.
//
// # How it stays cheap
//
// The watch pages through the outbox by row, remembers its place in the database, and
// keeps aside what was not published when it passed. One process at a time has the
// turn. A run reads a bounded number of rows; what is left waits for the next.
package delivery
