package outbox

import (
	"hash/fnv"

	"payonce/once"
)

// Names are what the relays of one outbox have in common at the broker and in the
// database, and relays of other outboxes have not.
type Names struct {
	// Exchange is where the relay publishes; a consumer's queue is bound to it by
	// the types it wants.
	Exchange string
	// Channel is what the relay listens on for a [Waker].
	Channel string
	// Presence is the advisory lock that all living relays share, and Partitions the
	// class of those by which each partition has one owner. Advisory locks live in one
	// database, so relays of different databases do not meet; a lock by two numbers and
	// one by a single number never collide.
	Presence   int64
	Partitions int32
}

// NamesOf returns the exchange name.events, the channel name_outbox, and locks whose
// numbers are made of the name.
func NamesOf(name once.Name) Names {
	h := fnv.New64a()
	_, _ = h.Write([]byte("outbox of " + name))
	sum := h.Sum64()
	return Names{
		Exchange: string(name) + ".events", Channel: string(name) + "_outbox",
		Presence: int64(sum >> 1), Partitions: int32(sum >> 33), // neither is negative
	}
}

func (n Names) complete() bool {
	return n.Exchange != "" && n.Channel != "" && n.Presence != 0 && n.Partitions > 0
}
