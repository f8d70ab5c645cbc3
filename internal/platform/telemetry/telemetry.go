// Package telemetry is what every process shows of itself: structured logs, a
// metrics registry, trace ids that travel, an admin server and a heartbeat.
package telemetry

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Logger makes the process's logger. Values that look like secrets never reach
// it by rule: card tokens, API keys and DSNs are not logged anywhere.
func Logger(process, format, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(handler(os.Stderr, format, l, isatty.IsTerminal(os.Stderr.Fd()))).With("process", process, "pid", os.Getpid())
}

func handler(w io.Writer, format string, level slog.Level, terminal bool) slog.Handler {
	if format == "text" || (format == "auto" && terminal) {
		return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal})
	}
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
}

// Registry makes a metrics registry of this process's own, with Go's and the
// process's collectors.
func Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Traces installs W3C trace context and a tracer that gives every request an
// id. Spans are not exported unless somebody adds an exporter: the ids, in logs,
// rows and messages, are what ties a story together.
func Traces() *sdktrace.TracerProvider {
	p := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	otel.SetTracerProvider(p)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return p
}
