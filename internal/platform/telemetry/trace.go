package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// TraceID is the context's trace id, "" when it has none.
func TraceID(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.HasTraceID() {
		return ""
	}
	return sc.TraceID().String()
}
