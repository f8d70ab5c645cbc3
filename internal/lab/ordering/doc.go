// Package ordering holds two ways to move events that the shop does not use, to
// measure what they give and what they take.
//
//   - [Relaxed] is the relay most people write: several workers, each takes the
//     next unpublished rows with FOR UPDATE SKIP LOCKED, publishes and marks. It
//     needs no owner and no memory, keeps a transaction open across the network,
//     and keeps no order: one worker overtakes another.
//   - [StrictQueue] has x-single-active-consumer: of all consumers one gets
//     messages. Order holds until the consumer changes; then what the old one has
//     in hand and what the new one gets overlap.
//
// [Inversions] counts what arrives too late. The numbers are in docs/ordering.md.
package ordering
