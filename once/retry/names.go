package retry

import (
	"strconv"
	"time"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/rabbit"
)

// Names is how a program calls what the schedule has at the broker, and what it writes
// into a message.
type Names struct {
	// Dead is the exchange, and the queue behind it, of messages that are given up.
	Dead string
	// Delay is what the names of the delays' exchanges and queues begin with; the
	// delay follows.
	Delay  string
	Format envelope.Format
}

// NamesOf returns the names name.dead and name.retry.<delay>.
func NamesOf(name once.Name) Names {
	return Names{Dead: string(name) + ".dead", Delay: string(name) + ".retry.", Format: envelope.Of(name)}
}

// Exchange names the exchange, and the queue behind it, that holds messages
// for d. A delay is part of the name, because a queue's arguments never change.
func (p Names) Exchange(d time.Duration) string {
	return p.Delay + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// Complete says that a failed message can be sent on, and read again.
func (p Names) Complete() bool { return p.Dead != "" && p.Delay != "" && p.Format.Attempt != "" }

// Topology is what the schedule needs of the broker: one fanout exchange and
// one queue for each delay, and the place of the dead. A fanout, because the
// routing key is the consumer's queue and must survive: published through the
// default exchange the message would dead-letter to the delay queue itself, a
// cycle that the broker drops although it confirmed the message (seen).
func (p Names) Topology(s Schedule) rabbit.Topology {
	t := rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: p.Dead, Kind: "fanout"}},
		Queues:    []rabbit.Queue{rabbit.DeadLetterQueue(p.Dead)},
		Bindings:  []rabbit.Binding{{Queue: p.Dead, Exchange: p.Dead}},
	}
	for _, d := range s {
		name := p.Exchange(d)
		t.Exchanges = append(t.Exchanges, rabbit.Exchange{Name: name, Kind: "fanout"})
		t.Queues = append(t.Queues, rabbit.DelayQueue(name, d.Milliseconds()))
		t.Bindings = append(t.Bindings, rabbit.Binding{Queue: name, Exchange: name})
	}
	return t
}
