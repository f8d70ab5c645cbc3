package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type (
	newCounter func(name, help string, labels prometheus.Labels, value func() int64)
	newGauge   func(name, help string, labels prometheus.Labels, value func() int64)
)

// retentionMetrics shows that what is over goes, and that what is coming is
// there: a task whose last success is hours old is the one to look at.
func (w *worker) retentionMetrics(counter newCounter, gauge newGauge) {
	for _, table := range w.keeper.Tables() {
		counter("payonce_retention_removed_total", "Partitions (outbox_events, consumer_inbox) and rows (the others) removed.",
			prometheus.Labels{"table": table}, func() int64 { return w.keeper.Stats().Removed[table] })
	}
	for _, task := range w.keeper.Tasks() {
		gauge("payonce_retention_last_success_seconds", "When a task last succeeded, as Unix time; 0 is never.",
			prometheus.Labels{"task": task}, func() int64 { return unixOrZero(w.keeper.Stats().Ran[task]) })
	}
	counter("payonce_retention_kept_total", "Times that a day stayed because of an unpublished event or a lock.", nil,
		func() int64 { return w.keeper.Stats().Kept })
	counter("payonce_retention_archived_events_total", "Events written to archives before their day was dropped.", nil,
		func() int64 { return w.keeper.Stats().ArchivedRows })
	gauge("payonce_partition_days_left", "Days after today that have their partitions, without a gap.", nil,
		func() int64 { return w.keeper.Stats().DaysLeft })
}

// booksMetrics shows that the provider's books are compared with ours, and what
// differed.
func (w *worker) booksMetrics(counter newCounter, gauge newGauge) {
	for outcome, of := range map[string]func() int64{
		"ended": func() int64 { return w.books.Stats().Turns }, "failed": func() int64 { return w.books.Stats().Failures },
	} {
		counter("payonce_reconciliation_turns_total", "Times that this worker compared the provider's books with ours, by outcome.",
			prometheus.Labels{"outcome": outcome}, of)
	}
	counter("payonce_reconciliation_compared_total", "Charges and refunds of the provider that were compared.", nil,
		func() int64 { return w.books.Stats().Compared })
	counter("payonce_reconciliation_differed_total", "Charges and refunds of the provider that our books did not agree with.", nil,
		func() int64 { return w.books.Stats().Differed })
	gauge("payonce_reconciliation_last_success_seconds", "When this worker last compared to the end, as Unix time; 0 is never.", nil,
		func() int64 { return w.books.Stats().Last })
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
