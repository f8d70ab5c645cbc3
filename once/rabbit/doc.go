// Package rabbit is the one place that speaks AMQP. It hides a client whose
// conveniences lose messages behind four things that do not: a connection that
// heals, a publisher that waits for the truth, a consumer that hands over
// batches, and a topology that is data.
//
// # A connection that heals
//
// [Conn] reconnects by building everything anew: connection, channels,
// consumers. The client's own recovery keeps channels alive across a reconnect,
// and with them delivery tags that now mean another message: a late Ack then
// acknowledged a message nobody had handled (seen). Here every [Delivery] knows
// its generation, an Ack of an older one is [ErrStale], and the message simply
// comes again. The topology is declared when a process starts, and again what is
// missed, so a broker that lost its disk is not a special case.
//
// Of several nodes each connection begins at a random one. A broker that does not
// answer in time loses the connection: what it was asked may come about later, on
// a channel that nothing here reads.
//
// A process that both publishes and consumes opens two connections. RabbitMQ
// stops reading from a publishing connection while it has no memory or disk
// left, and Acks stuck behind a publish would stop the consumers as well.
//
// # A publisher that waits for the truth
//
// A confirm says "stored", not "routed": a message that fits no queue is
// confirmed and gone. So everything is published mandatory, and the Return,
// which comes before the confirm, turns that one message into a [message.Returned]
// error. Confirms are pipelined in a bounded window. Nothing is ever resent
// here: after [message.ErrUnconfirmed] the message may or may not be in its queues, and
// only the caller knows what a second copy means.
//
//	answer            the message is
//	nil               in every queue that is bound for it, on disk
//	Returned          nowhere: no queue is bound for it
//	ErrNacked         perhaps in some of its queues (one was full or had no leader)
//	ErrUnconfirmed    perhaps: the connection or the confirm's deadline went
//
// During a memory alarm a publish returns nil, its confirm never comes, and a
// write that blocks ignores its context. The publisher watches the broker's
// "blocked" notice, puts a deadline on every write and on every confirm.
//
// # A consumer that hands over batches
//
// [Conn.Consume] gives up to BatchMax deliveries at a time to one function and
// acknowledges with one frame where that is safe: when every older delivery of
// the channel is settled too. It never requeues: a nack with requeue spins more
// than a thousand times a second and starves the rest. What is not acknowledged
// comes again when the channel ends, and is counted: the broker gives up what it
// has handed out too often. A consumer therefore begins with ten in hand, and
// takes its whole share after a hundred in a row that nobody had held before.
//
// A queue that lets no reader begin stops no other: one that is silent is left waiting on
// its channel, and one over which the broker ends the connection three times is read over
// a connection of its own.
//
// # What is not promised
//
// Order across reconnects, and one delivery per message: whoever consumes
// dedupes.
package rabbit
