package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/provider/simulated"
)

// metrics is what the process shows beside what the edge counts.
func metrics(gateway *simulated.Client) *prometheus.Registry {
	registry := telemetry.Registry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "payonce_provider_breaker_state", Help: "How the breaker towards the provider stands: 0 closed, 1 half-open, 2 open.",
	}, func() float64 { return float64(gateway.BreakerState()) }))
	return registry
}
