package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"payonce/once"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Message is one event as a consumer sees it.
type Message struct {
	EventID     string
	Type        string
	Payload     []byte
	Scope       string // whose it is
	Correlation string // the story it belongs to
	AggregateID string
	// AggregateVersion orders the events of one aggregate. Facts are applied
	// whatever their version; only projections compare.
	AggregateVersion int64
	Time             time.Time
	Traceparent      string
	// Attempt counts the tries that a schedule granted, from 1; Replay counts
	// the times that a person sent the event again. PastWindow says that the
	// person knew that the inbox may have forgotten it.
	Attempt     int
	Replay      int
	PastWindow  bool
	Redelivered bool
}

// Handler applies messages that this consumer has not applied before. All its
// writes go through tx, which commits them together with the inbox rows.
//
// One function serves batches and single messages: an error rejects the whole
// batch, after which each of its messages is given alone, so that only the one
// that is at fault suffers. A handler may therefore run more than once for a
// message, but commits once. It calls no network. retry.Permanent marks errors
// that trying again cannot cure.
//
// The batch is sorted by event id. Whoever locks other rows for a batch sorts
// those too, or two workers deadlock.
type Handler func(ctx context.Context, tx once.Tx, batch []Message) error

// item is a delivery and what it says.
type item struct {
	delivery rabbit.Delivery
	message  Message
}

// open reads a delivery. An error is permanent.
func (r *Runner) open(d rabbit.Delivery) (item, error) {
	e, err := r.cfg.Names.Format.Parse(d.Message)
	it := item{delivery: d, message: Message{
		EventID: e.EventID, Type: e.Type, Payload: e.Payload, Scope: e.Scope, Correlation: e.Correlation,
		AggregateID: e.AggregateID, AggregateVersion: e.AggregateVersion, Time: e.Time, Traceparent: e.Traceparent,
		Attempt: e.Attempt, Replay: e.Replay, PastWindow: e.PastWindow, Redelivered: d.Redelivered,
	}}
	if err == nil {
		it.message.EventID, err = r.cfg.Table.id(e.EventID)
	}
	switch {
	case err != nil:
		return it, retry.Poison(fmt.Errorf("the envelope cannot be read: %w", err))
	case len(r.cfg.Types) > 0 && !slices.Contains(r.cfg.Types, e.Type):
		return it, retry.Permanent(fmt.Errorf("events of type %q are unknown here", e.Type))
	}
	return it, nil
}
