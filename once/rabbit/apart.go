package rabbit

import (
	"context"
	"errors"
)

// errEnded says that the connection ended while a queue was to let its reader begin.
var errEnded = errors.New("the connection ended over a reader that begins")

// deadly is how often in a row a connection may end over the beginning of one queue's
// reader. A broker can do that without end: 3.10 ends the connection of a reader that asks for
// a queue whose process did not come back after the node was killed. Everything else that
// is read over the connection ends with it.
const deadly = 3

// apart reads a queue over a connection of its own, which may end as often as the broker
// likes. A queue whose reader was about to begin at the same moments may come here too;
// it is read as well, for one connection more.
func (c *Conn) apart(ctx context.Context, cfg ConsumerConfig, handle func(ctx context.Context, batch []Delivery)) error {
	c.cfg.Log.Warn("a queue is read over a connection of its own from now on", "queue", cfg.Queue)
	own := newConn(c.cfg)
	own.of, own.declared = c, true
	go own.heal()
	defer own.Close()
	defer context.AfterFunc(c.ctx, own.cancel)()
	return own.Consume(ctx, cfg, handle)
}
