// Package onceotel carries a trace through the patterns, as the W3C header that a row, an
// event and a message have a place for: what a request began is continued by the consumer
// that applies its event, by the step of a saga and by its compensation.
//
//	table.Append(ctx, tx, onceotel.Traced(ctx, event))
//	inbox.Config{Context: onceotel.OfMessage}
//	saga.Store{Trace: onceotel.Traceparent, Context: onceotel.WithTraceparent}
//
// A context without a trace gives an empty header, and an empty header leaves the context
// as it is. Nothing here exports spans: that is your program's provider.
package onceotel

import (
	"context"

	"go.opentelemetry.io/otel/propagation"

	"payonce/once/inbox"
	"payonce/once/outbox"
)

var w3c = propagation.TraceContext{}

// Traceparent writes the context's trace as a W3C header, "" when it has none.
func Traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	w3c.Inject(ctx, c)
	return c["traceparent"]
}

// WithTraceparent continues the trace that a W3C header names. What is no header leaves
// the context as it is.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// Traced is the event, which continues the context's trace unless it names one itself.
func Traced(ctx context.Context, e outbox.Event) outbox.Event {
	if e.Traceparent == "" {
		e.Traceparent = Traceparent(ctx)
	}
	return e
}

// OfMessage continues the trace that a message names.
func OfMessage(ctx context.Context, m inbox.Message) context.Context {
	return WithTraceparent(ctx, m.Traceparent)
}
