package onceotel_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"payonce/once/inbox"
	onceotel "payonce/once/otel"
	"payonce/once/outbox"
)

const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestATraceGoesThroughAnEventAndAMessage(t *testing.T) {
	t.Parallel()
	ctx := onceotel.WithTraceparent(t.Context(), header)
	require.Equal(t, header, onceotel.Traceparent(ctx))
	require.Equal(t, header, onceotel.Traced(ctx, outbox.Event{}).Traceparent)
	require.Equal(t, "its own", onceotel.Traced(ctx, outbox.Event{Traceparent: "its own"}).Traceparent)
	consuming := onceotel.OfMessage(t.Context(), inbox.Message{Traceparent: header})
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", trace.SpanContextFromContext(consuming).TraceID().String())
}

func TestWithoutATraceThereIsNone(t *testing.T) {
	t.Parallel()
	require.Empty(t, onceotel.Traceparent(t.Context()))
	require.Empty(t, onceotel.Traced(t.Context(), outbox.Event{}).Traceparent)
	for _, none := range []string{"", "no header", "00-0af7651916cd43dd8448eb211c80319c"} {
		require.False(t, trace.SpanContextFromContext(onceotel.OfMessage(t.Context(), inbox.Message{Traceparent: none})).IsValid(), none)
	}
}
