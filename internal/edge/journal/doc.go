// Package journal writes down what happened to each attempt, and shows it live.
//
// # The problem
//
// A viewer wants to see every click, every delivery and every twin that was
// absorbed. A buyer wants none of that in the way: a journal written inside
// the business transaction makes it slower, makes it fail when the journal
// fails, and shows nothing of the transactions that rolled back, which are the
// interesting ones.
//
// # The promise
//
// [Journal.Observe] and [Journal.Attempt] return at once, never fail and never
// touch the database. What they took is written in batches, within 100 ms as a
// rule, in transactions of the journal's own. The buffer is bounded: when the
// database stays away for long, records are dropped and counted, and every
// number that is made from them says "at least".
//
// [Tail] shows the rows of one merchant to its readers. While there are any,
// one poll per process serves them all; a reader that falls behind is let go
// and comes back with the last id it has, and is then sent everything from
// ten seconds before it again. That is at-least-once plus dedupe by id: the
// product's own lesson.
//
// # What is not promised
//
// That everything is drawn: above two hundred stories a second a process draws a part of
// them, whole ones, and counts the rest as missing; the attempts are never left out. A
// setting leaves the picture out, or the attempts too ([Level]).
//
// That nothing is missing: a process killed with -9 takes up to 100 ms of its
// journal along, uncounted. That the order of ids is the order of events across
// processes: each event carries its own time for that. That rows stay: they are
// pruned by age and number. Truth is in the business tables; this is a picture
// of it.
//
// # Tables
//
//	attempts   every HTTP attempt and its outcome; its id is made by the writer, so
//	           that writing a batch twice adds nothing
//	activity   the live view; its id is made by the database's clock at the flush,
//	           never by a sequence, which would restart after a crash
//
// # Killed here, then what
//
//	before the flush            the records are gone
//	during an attempts flush    written again, the second time without effect
//	during an activity flush    its outcome unknown: not written again, counted as dropped
package journal
