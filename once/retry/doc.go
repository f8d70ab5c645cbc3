// Package retry decides what becomes of a message that failed, and keeps what
// no consumer could apply until a person has looked at it.
//
// # The problem
//
// Errors come in kinds. A database that restarts is cured by waiting, a payload
// of tomorrow's schema is not. Treated alike, either a hiccup loses a message
// or a poison message goes round without end in front of all others.
//
// # The promise
//
//   - Every error has a [Class]. Permanent ones go to a person at once,
//     transient ones after each delay of a [Schedule] was tried.
//   - A message that waits is on disk in a queue of its own delay, and comes
//     back to the consumer that failed, not to all who read its type.
//   - A message that died is a row with its payload, its headers, its class and
//     its reason, and a trouble for a person. It never expires while it is open.
//   - A person decides ([DeadLetters]), once, with who and why written down in the
//     same transaction as its consequence: replay, apply, or discard.
//
// # What is not promised
//
// Order: whatever waits is overtaken. And one copy: the original is acknowledged
// after the copy is confirmed, so a crash between the two makes two. Both carry
// the same event id.
//
// # A message's way
//
//	          transient, attempt n           ttl over
//	consumer ───────────────────▶ delay n ─────────────▶ the consumer's queue
//	    │ permanent, or no delay left
//	    ▼
//	name.dead ────▶ Collector ──▶ dead_letters: open ──▶ replayed │ discarded
//	    ▲                              └─ the inbox has it: applied
//	    └── the queue's delivery limit: a message that kills its consumer
//
// Each delay has one fanout exchange and one queue behind it. The routing key is
// the consumer's queue and survives the fanout; when the queue's TTL is over,
// the default exchange takes the message to the queue of that name. One queue
// for each delay, because TTLs in one queue wait behind its head (500 ms became
// 4 s). Not through the default exchange on the way in, because then the key
// would be the delay queue itself: a cycle that the broker drops although it had
// confirmed the message.
//
// # Replays and their letters
//
// A letter counts its replays. A message that dies re-opens its letter only when
// it carries that same count: otherwise a late copy of the first life would
// re-open what the second is about to cure, or the first replay would swallow
// the second death.
//
// A replay is for events that the inbox still knows, so replaying twice applies
// once. Past that limit [Apply] has the event applied without the inbox, by a
// consumer whose every effect is unique by a key of the business; other
// consumers' letters can only be discarded.
//
// # Killed here, then what
//
//	before the copy is confirmed     the original is redelivered
//	after it, before the ack         two copies, one event id: the inbox absorbs
//	decision: before the commit      nothing was decided; ask again
//	decision: after it, answer lost  decided; a second decision is refused
//	collector: before the commit     the broker still has the letter
//	collector: after it              redelivered; the upsert changes nothing
//
// # Tables
//
// dead_letters and dead_letter_decisions, in payonce/once/schema; and where trouble is
// raised ([once.Troubles]).
//
// Read first: class.go (what an error means), retry.go (the way out), write.go
// (a letter and its trouble), deadletters.go (a person's decision).
package retry
