// Package onceprom shows Prometheus what the patterns count of themselves.
//
//	onceprom.Relay(registry, "billing", relay)
//	onceprom.Backlog(registry, "billing", backlog)
//	onceprom.Consumer(registry, "billing", "invoices", runner)
//	onceprom.Letters(registry, "billing", collector)
//
// Each name begins with the namespace: billing_relay_published_total. Counters are of this
// process since it began. Registering one part twice panics, as prometheus.MustRegister does.
package onceprom

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/retry"
)

type metrics struct {
	to        prometheus.Registerer
	namespace string
	labels    prometheus.Labels
}

func (m metrics) with(name, value string) metrics {
	labels := prometheus.Labels{name: value}
	for n, v := range m.labels {
		labels[n] = v
	}
	m.labels = labels
	return m
}

func (m metrics) counter(name, help string, value func() int64) {
	m.to.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: m.namespace, Name: name, Help: help, ConstLabels: m.labels},
		func() float64 { return float64(value()) }))
}

func (m metrics) gauge(name, help string, value func() float64) {
	m.to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: m.namespace, Name: name, Help: help, ConstLabels: m.labels}, value))
}

// Relay shows what a relay has done, and how many partitions it owns.
func Relay(to prometheus.Registerer, namespace string, r *outbox.Relay) {
	m := metrics{to: to, namespace: namespace}
	m.counter("relay_published_total", "Events the broker confirmed in every queue bound.", func() int64 { return r.Counts().Published })
	m.counter("relay_marked_total", "Events marked published in the table.", func() int64 { return r.Counts().Marked })
	m.counter("relay_unroutable_total", "Events returned because no queue is bound; they stay unpublished.", func() int64 { return r.Counts().Returned })
	m.counter("relay_nacked_total", "Events the broker refused; they stay unpublished.", func() int64 { return r.Counts().Nacked })
	m.counter("relay_unconfirmed_total", "Events whose fate was unknown and that were sent again.", func() int64 { return r.Counts().Lost })
	m.gauge("relay_held_aggregates", "Aggregates held back behind an event the broker does not take.", func() float64 { return float64(r.Counts().Held) })
	m.gauge("relay_partitions", fmt.Sprintf("Partitions this relay owns; the sum over all relays is %d.", outbox.Partitions), func() float64 { return float64(r.Partitions()) })
}

// Backlog shows what the outbox holds unpublished.
func Backlog(to prometheus.Registerer, namespace string, g *outbox.BacklogGauge) {
	m := metrics{to: to, namespace: namespace}
	m.gauge("outbox_unpublished", "Events in the outbox that are not published yet, counted up to a limit; every relay says the same.", func() float64 { return float64(g.Latest().Unpublished) })
	m.gauge("outbox_oldest_seconds", "Age of the oldest of them; every relay says the same.", func() float64 { return g.Latest().Oldest.Seconds() })
}

// Consumer shows what became of a consumer's messages.
func Consumer(to prometheus.Registerer, namespace, name string, r *inbox.Runner) {
	m := metrics{to: to, namespace: namespace}.with("consumer", name)
	for outcome, of := range map[string]func(inbox.Counts) int64{
		"delivered": func(n inbox.Counts) int64 { return n.Delivered },
		"applied":   func(n inbox.Counts) int64 { return n.Applied },
		"absorbed":  func(n inbox.Counts) int64 { return n.Absorbed },
		"retried":   func(n inbox.Counts) int64 { return n.Retried },
		"dead":      func(n inbox.Counts) int64 { return n.Dead },
	} {
		m.with("outcome", outcome).counter("consumer_messages_total", "Messages of a consumer, by what became of them.", func() int64 { return of(r.Counts()) })
	}
	m.counter("consumer_returned_total", "Failed messages for which the broker had no queue; they wait in hand.", func() int64 { return r.Counts().Returned })
	for _, class := range retry.Classes {
		m.with("class", string(class)).counter("consumer_failures_total", "Failures of a consumer, by error class.", func() int64 { return r.Failures()[class] })
	}
}

// Letters shows the dead letters that a collector has written down.
func Letters(to prometheus.Registerer, namespace string, c *retry.Collector) {
	m := metrics{to: to, namespace: namespace}
	m.gauge("dead_letters_open", "Dead letters that wait for a person.", func() float64 { return float64(c.Open()) })
	for _, class := range retry.Classes {
		m.with("class", string(class)).counter("dead_letters_total", "Dead letters written down, by error class.", func() int64 { return c.Died()[class] })
	}
}
