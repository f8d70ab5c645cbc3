// Package ladder is the relay of an outbox in three steps, to read in this order. Each is
// correct; each next one buys something, and costs something.
//
//	smallest.go   an event is published at least once if and only if its change is
//	              committed. One relay, one confirm at a time, and the first event that
//	              is not taken holds all.
//	ordered.go    an event that is not taken holds its own aggregate only, and a batch
//	              waits for its confirms together. Still one relay.
//	many.go       several relays share the aggregates, and each takes over what another
//	              one leaves. Costs a connection for each relay, which holds its locks.
//
// Its examples run on a real Postgres and RabbitMQ. [payonce/once/outbox] has all three
// steps, and what they leave out: events of several days in partitions, a wake-up in place
// of a poll, fair shares that move as relays come and go, confirms that are still on their
// way when the next batch is read, replays, metrics and alerts.
//
// # The table
//
// An event is a row that its change writes, in the change's own transaction. Numbers are
// given before the commit, so a higher number may be committed earlier; that is why a relay
// asks for what is not published, and never for what stands behind the last number it saw.
// Of one aggregate the numbers are in the order of the commits, because the change locks
// its aggregate's row first.
package ladder
