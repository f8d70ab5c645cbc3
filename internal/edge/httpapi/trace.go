package httpapi

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// startTrace gives each HTTP attempt a trace of its own. A client's traceparent
// is not continued: two attempts with one trace id could not be told apart in
// the live view, and the header could be anybody's.
func startTrace(ctx context.Context, route string) (context.Context, trace.Span) {
	ctx, span := otel.Tracer("payonce/internal/edge/httpapi").Start(ctx, route, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
	if span.SpanContext().HasTraceID() {
		return ctx, span
	}
	// No tracer is installed; the ids are needed all the same.
	var id trace.TraceID
	var spanID trace.SpanID
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	_, _ = rand.Read(spanID[:])
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: spanID, TraceFlags: trace.FlagsSampled})), span
}
