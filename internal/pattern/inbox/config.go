package inbox

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"payonce/internal/pattern/retry"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once/rabbit"
)

// Config wires a [Runner].
type Config struct {
	// Consumer names the consumer; its queue has the same name.
	Consumer string
	// Types are the events it understands; another one is a permanent error.
	// Empty means that the handler decides.
	Types   []string
	Handler Handler
	// ByBusinessKey says that Handler has every effect once for ever, by keys of
	// the business. Only then a person may have an event applied that the inbox
	// has forgotten; see [Message.PastWindow].
	ByBusinessKey bool
	// Around applies the types it names instead of Handler; nil means none.
	Around *Around
	// Calls is how many of Around's calls are under way together; 0 means 8. Give
	// Prefetch some more, or the others wait for them all the same.
	Calls int

	DB *postgres.DB
	// Broker is the connection that is consumed from; Publisher belongs to
	// another one (see package rabbit).
	Broker    *rabbit.Conn
	Publisher retry.Publisher
	Schedule  retry.Schedule

	Observer observe.Observer // nil means nobody
	Log      *slog.Logger     // nil means silence
	Now      func() time.Time

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
	case c.Now == nil:
		return fmt.Errorf("inbox: consumer %s needs a clock", c.Consumer)
	}
	if c.Observer == nil {
		c.Observer = observe.Nobody{}
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
