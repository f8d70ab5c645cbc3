// Package outbox publishes exactly the events that were committed, each at
// least once.
//
// # The problem
//
// A service changes its database and informs others by a message. Done one
// after the other, a crash between the two leaves a change without its message
// or a message about a change that never was. There is no transaction over a
// database and a broker, and none is needed.
//
// # The promise
//
// The event is a row, written by [Table.Append] or [Table.Fold] in the transaction of the
// change it speaks of. A [Relay] publishes rows and marks them. Then:
//
//   - an event is published if and only if its transaction committed;
//   - it is published at least once, and marked only after the broker has
//     confirmed that it is on disk in every queue bound for it;
//   - the events of one aggregate leave in the order in which they committed:
//     at most one of them is unconfirmed at any time;
//   - an event that cannot be published holds back its own aggregate and no
//     other, stays unpublished, and raises one trouble for its route; a replay, which
//     goes to one queue and has no place in the order, holds back nothing and can be
//     taken back ([Table.TakeBack]) until it has left.
//
// # What is not promised
//
// Once: consumers dedupe (see package inbox). Order between aggregates, and order
// of copies after a relay crashed or slept. Facts are applied whatever their
// version; projections compare versions.
//
// That every partition moves whatever happens to one relay: a relay that lives
// but cannot reach the broker keeps its share and publishes nothing of it. The age
// of the oldest event ([BacklogGauge]) says so.
//
// # An event's way
//
//	 business transaction           relay (for the partitions it owns)
//	┌─────────────────────┐   ┌────────────────────────────────────────┐
//	│ change              │   │ fetch ──▶ publish ──▶ confirmed ──▶ mark│
//	│ INSERT outbox_events│──▶│   ▲          │ returned, nacked         │
//	└─────────────────────┘   │   │          ▼                          │
//	     commit, then Wake    │   └── aggregate held back, trouble      │
//	                          └────────────────────────────────────────┘
//
// # A sequence is not commit order
//
// seq is drawn when a row is written and seen when its transaction commits, so
// a relay that pages by "seq > last seen" loses what commits late (347 of 1,881
// events in a test). The relay asks for unpublished rows and marks them by id.
// The last seen position of each partition is used as a hint, because an old open transaction
// makes the index keep what was published. Behind it only the last hour's days are looked
// into: sixteen walks through each day of a month were 2.4 ms, for one event. A scan from
// the start, every poll interval, is the guarantee. And since the hint may hide version 1 while
// showing version 2, behind it only an aggregate's certain next version is
// taken; everything else waits for the scan. Within an aggregate the order of
// seq is the order of commits, because both are drawn under the aggregate's row
// lock.
//
// # Waking up
//
// After its commit a writer calls [Waker.Wake]. NOTIFY inside the business
// transaction would take a lock that is one for the whole server across its
// commit: 5,100 commits a second became 1,600. The wake-up is only the hurry; a
// poll is the guarantee.
//
// # Who owns what
//
// Every row names one of sixteen partitions, by a hash of its aggregate. Each
// partition has at most one owner, a relay of N owns ⌈16 / N⌉ of them at most, and
// there is no coordinator:
//
//	a relay lives      its session holds one lock that all living relays share
//	it owns p          the same session holds lock p, alone
//	four times a beat  it counts the living, takes what is free up to its share,
//	                   or lets go of what is more than that
//
// All its locks belong to one session that does nothing else. A relay that loses
// the session loses the locks and its place in the count in the same moment: no
// table and no clock can say one without the other. A free partition is taken at
// the next look of a relay that has room.
//
// Letting go is orderly: nothing more of the partition leaves, what left is
// confirmed and marked, and then it is unlocked. So relays that come and go under
// load make no copies and no inversions. One that cannot finish within
// [Config].Drain, because its broker is away, ends its session instead.
//
// A crash and a long sleep are not orderly. The server ends a session that has
// said nothing for four beats. The sleeper's own lease is three beats by its
// monotonic clock, looked at before each event, so when it wakes up it sends
// nothing. What was already handed to the network may still arrive: that is the
// hand-over's overlap. It costs copies, which inboxes absorb, and may show a copy
// of an old event after a newer one.
//
// # Killed here, then what
//
//	before the business commit      no change, no event
//	after it, before the fetch      the row waits for the next relay
//	after fetch, before publish     the same: fetching changes nothing
//	after publish, before confirm   unknown: the next relay sends it again
//	after confirm, before mark      sent again; the inbox absorbs the copy
//	after mark                      nothing is left to do
//
// # Tables
//
// outbox_events, partitioned by day of row_id so that retention is a drop; a partition
// with an unpublished row stays. queue_samples ([Sampler]), for what draws queues and for
// [Table.Takes]. Both are in payonce/once/schema; a program that has tables of its own says
// in which schema they are, and what their columns of scope and ids are ([Table]).
//
// Read first: outbox.go (writing), lanes.go (what may leave when), engine.go
// (the loop), outcome.go (what each answer means), share.go (who owns what).
package outbox
