package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"payonce/internal/platform/telemetry"
	onceprom "payonce/once/prom"
)

// metrics shows what the parts count of themselves.
func (w *worker) metrics() *prometheus.Registry {
	registry := telemetry.Registry()
	counter := func(name, help string, labels prometheus.Labels, value func() int64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, labels prometheus.Labels, value func() int64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) }))
	}
	for _, c := range w.consumers {
		onceprom.Consumer(registry, "payonce", c.name, c.runner)
	}
	onceprom.Letters(registry, "payonce", w.collector)
	w.retentionMetrics(counter, gauge)
	w.booksMetrics(counter, gauge)
	for outcome, of := range map[string]func() int64{
		"sent": func() int64 { return w.mailer.Counts().Sent }, "delayed": func() int64 { return w.mailer.Counts().Delayed },
		"failed": func() int64 { return w.mailer.Counts().Failed }, "lost": func() int64 { return w.mailer.Counts().Lost },
	} {
		counter("payonce_mails_total", "Mails, by what became of a try; lost means that the lease was taken over.",
			prometheus.Labels{"outcome": outcome}, of)
	}
	gauge("payonce_provider_breaker_state", "How the breaker towards the provider stands: 0 closed, 1 half-open, 2 open.", nil, w.gateway.BreakerState)
	doubts := w.sweeper.Service.Doubts
	gauge("payonce_attempts_in_doubt", "Attempts to charge whose outcome nobody here knows.", nil, func() int64 { return doubts().InDoubt })
	gauge("payonce_oldest_doubt_seconds", "Age of the oldest attempt in doubt.", nil, func() int64 { return doubts().OldestSeconds })
	counter("payonce_attempts_recovered_total", "Attempts that the sweeper finished.", nil, func() int64 { return doubts().Recovered })
	gauge("payonce_postgres_connections_in_use", "Connections to Postgres in use.", nil, func() int64 { return int64(w.db.Stats().InUse) })
	counter("payonce_postgres_waits_total", "Times somebody waited for a connection of the pool.", nil, func() int64 { return w.db.Stats().WaitCount })
	counter("payonce_journal_dropped_total", "Records that the live view lost.", nil, w.journal.Dropped)
	return registry
}
