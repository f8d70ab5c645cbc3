// Package inbox applies each event once per consumer, however often it is
// delivered.
//
// # The problem
//
// A broker that loses nothing delivers some messages twice: a confirm, an ack
// or a process is lost, and the only safe thing is to send again. A consumer
// that adds money cannot take it twice.
//
// # The promise
//
// A [Runner] records every event in consumer_inbox in the same transaction as
// its effect. Then, for events younger than the inbox's window:
//
//   - the effect of one event is committed once per consumer, whatever is
//     redelivered, replayed, retried or delivered to many workers at the same
//     time;
//   - a message is acknowledged only after its effect is durable, or after the
//     broker has confirmed the copy that waits for a retry or lies with the
//     dead;
//   - a message that fails hurts itself only: its batch is repeated without it.
//
// # What is not promised
//
// Order: two workers, a retry or a redelivery overtake. Effects outside the
// database: an e-mail or a call has no part in the transaction; record the
// intent here and let another step carry it out under a key of its own. And
// memory beyond the window: an event older than the oldest partition is
// refused, not guessed at.
//
// # One delivery
//
//	delivered ──▶ new? ──yes──▶ handler ──▶ commit ──▶ ack      applied
//	                │              │
//	                no             ├─ transient: delay queue ──▶ ack    comes back
//	                ▼              ├─ permanent: the dead      ──▶ ack    a person
//	               ack  absorbed   └─ database away: wait, unacknowledged
//
// # Batches
//
// Up to a hundred deliveries share one transaction, which is what makes a
// consumer fast. The events are sorted by id, because two workers with
// overlapping batches in opposite order deadlock. A batch that fails is taken
// apart and each message runs alone. A message that was delivered twice before
// without an ack runs alone from then on, in another order each time: it may be
// what kills its consumer, and the broker counts a delivery for everything that
// was prefetched with it.
//
// # Ask, then record
//
// A consumer whose effect is outside (a call to an external system) has an
// [Around] instead of, or beside, its handler: the intent commits first, without
// an inbox row; then the call, under a key made of the intent, while no
// transaction is open; then inbox row and what was learnt, together. After a
// crash between the two commits the call is repeated under the same key. Such
// messages are handled one by one.
//
// # Killed here, then what
//
//	before the handler               redelivered, applied then
//	in the handler, before commit    rolled back, redelivered, applied then
//	during the commit                unknown; the redelivery finds out: the row
//	                                 is there (absorbed) or is not (applied)
//	after commit, before ack         redelivered, absorbed
//	a panic before the ack           like an error: rolled back if nothing was
//	                                 committed, put back, applied or absorbed then
//	asking, before the call          redelivered, asked then
//	asking, after the call           redelivered, asked again under the same key
//	after the copy, before ack       two copies; both dedupe by the same id
//	after ack                        nothing is left to do
//
// # Tables
//
// consumer_inbox, partitioned by event_id: an event id is a UUIDv7 and carries
// its birth. Partitioned by the time of processing, a late copy would land in
// another partition and be admitted again. The retention is the dedupe window
// and must exceed the longest way a copy can take. There is no DEFAULT partition on
// purpose: an event outside the window must be refused, because no row says any more
// whether it was applied.
//
// consumer_inbox_any, for events whose ids are anything else. Its window is the age at
// which rows are deleted. See [Table].
//
// Read first: [Handler], then runner.go.
package inbox
