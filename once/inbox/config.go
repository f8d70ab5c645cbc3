package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"payonce/once"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/trouble"
)

// Config wires a [Runner].
type Config struct {
	// Consumer names the consumer; its queue has the same name.
	Consumer string
	// Types are the events it understands; another one is a permanent error.
	// Empty means that the handler decides.
	Types   []string
	Handler Handler
	// ByBusinessKey says that Handler has every effect once and no more, by keys of
	// the business. Only then a person may have an event applied that the inbox
	// has forgotten; see [Message.PastWindow].
	ByBusinessKey bool
	// Around applies the types it names instead of Handler; nil means none.
	Around *Around
	// Calls is how many of Around's calls are under way together; 0 means 8. Give
	// Prefetch some more, or the others wait for them all the same.
	Calls int

	DB    once.DB
	Table Table
	// Broker is the connection that is consumed from; Publisher belongs to
	// another one (see package rabbit).
	Broker    *rabbit.Conn
	Publisher retry.Publisher
	Names     retry.Names
	Schedule  retry.Schedule

	// Troubles is where it is raised that a queue of the schedule is gone; nil means the
	// table of package payonce/once/trouble, in the inbox's schema.
	Troubles once.Troubles
	// Context gives a handler that has one message in hand what belongs to it, such as
	// its trace; nil means nothing.
	Context func(ctx context.Context, m Message) context.Context
	// Saw gets what became of each delivery; nil means nothing does. It must return at
	// once, and is no part of a transaction.
	Saw func(ctx context.Context, s Seen)
	// Point stops before each step that is named, for tests: its error is the step's, which
	// at after_commit sends the message to the schedule although it is applied, and counts
	// it absorbed when it comes again.
	// The steps are before_effect, after_effect, after_commit and after_ack, and for
	// messages that are applied by asking after_intent and after_call too.
	Point func(step string, about []Message) error
	Log   *slog.Logger     // nil means silence
	Now   func() time.Time // the program's clock; required

	BatchMax int           // 0 means 100
	Prefetch int           // 0 means twice BatchMax
	Linger   time.Duration // 0 means 1 ms
	// Deadline bounds one transaction, also after the process was asked to
	// end; 0 means 10 s.
	Deadline time.Duration
}

func (c *Config) setDefaults() error {
	switch {
	case c.Consumer == "" || c.Handler == nil && c.Around == nil:
		return errors.New("inbox: a consumer needs a name and a handler")
	case c.DB == nil || c.Broker == nil || c.Publisher == nil || len(c.Schedule) == 0:
		return fmt.Errorf("inbox: consumer %s needs a database, a broker, a publisher and a schedule", c.Consumer)
	case !c.Names.Complete():
		return fmt.Errorf("inbox: consumer %s needs to know where its failed messages go; see retry.NamesOf", c.Consumer)
	case c.Now == nil:
		return fmt.Errorf("inbox: consumer %s needs a clock", c.Consumer)
	}
	if c.Troubles == nil {
		c.Troubles = trouble.Table{Schema: c.Table.Schema}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BatchMax == 0 {
		c.BatchMax = 100
	}
	if c.Calls == 0 {
		c.Calls = 8
	}
	if c.Deadline == 0 {
		c.Deadline = 10 * time.Second
	}
	return nil
}

// What is what became of a delivery.
type What string

// All there is to see.
const (
	Delivered What = "delivered" // it came, maybe not for the first time
	Applied   What = "applied"   // its effect is durable
	Absorbed  What = "absorbed"  // it was applied before
	Retried   What = "retried"   // it failed and comes again
)

// Seen is what [Config.Saw] gets.
type Seen struct {
	What    What
	Message Message
	// Took is how long the transaction was that applied or absorbed it, which it may have
	// shared with others.
	Took time.Duration
	// Err is why it failed, and Delay when it comes again.
	Err   error
	Delay time.Duration
}
