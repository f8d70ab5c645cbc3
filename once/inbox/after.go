package inbox

import "context"

// AfterCommit calls done when the transaction that a handler runs in is durable, before
// its messages are acknowledged. ctx is the handler's. A rollback forgets done, and a
// crash loses the call: it is for hurrying another part of the program and not for
// work.
func AfterCommit(ctx context.Context, done func()) {
	if c, ok := ctx.Value(commitKey{}).(*commit); ok {
		c.done = append(c.done, done)
	}
}

// Committing is for code that runs a handler without a [Runner]: it gives the handler's
// context, and what to call when its transaction is durable.
func Committing(ctx context.Context) (handlers context.Context, committed func()) {
	c := &commit{}
	return context.WithValue(ctx, commitKey{}, c), func() {
		for _, done := range c.done {
			done()
		}
	}
}

// begun says that the transaction begins, maybe not for the first time.
func begun(ctx context.Context) {
	if c, ok := ctx.Value(commitKey{}).(*commit); ok {
		c.done = nil
	}
}

type commitKey struct{}

type commit struct{ done []func() }
