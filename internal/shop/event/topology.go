package event

import (
	"slices"

	"payonce/internal/platform/patterns"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Consumer is somebody who reads events: its name, which is its queue's too,
// and the types it is bound for.
type Consumer struct {
	Name  string
	Types []string
	// Lossy says that its queue is a picture and not the truth: bounded, the
	// oldest dropped first, and no inbox row is owed for what it reads.
	Lossy bool
	// ByBusinessKey says that its every effect is unique for ever by a key of the
	// business: a transaction per payment, a ticket per seat, a mail per purpose.
	// Only then an event past the dedupe window may be applied; see [Resend].
	ByBusinessKey bool
}

// Names of the consumers.
const (
	ConsumerLedger   = "ledger"
	ConsumerTickets  = "tickets"
	ConsumerEmail    = "email"
	ConsumerSaga     = "saga"
	ConsumerProvider = "provider"
	ConsumerCheckout = "checkout"
	ConsumerJournal  = "journal"
)

// Consumers is the catalogue of who reads what. Every event has at least one
// reader, or publishing it would be returned as unroutable.
var Consumers = []Consumer{
	{Name: ConsumerLedger, Types: []string{TypePaymentCaptured, TypeRefundRecorded, CommandHoldRefund, CommandReleaseRefund, CommandSettleRefund}, ByBusinessKey: true},
	{Name: ConsumerTickets, Types: []string{TypePaymentCaptured, TypeRefundRecorded, CommandVoidTickets, CommandReinstateTickets}, ByBusinessKey: true},
	{Name: ConsumerEmail, Types: []string{TypePaymentCaptured, TypePaymentDeclined, TypeRefundCompleted, TypeRefundFailed, TypeRefundRecorded}, ByBusinessKey: true},
	{Name: ConsumerSaga, Types: append([]string{TypeRefundRequested, TypeRefundReservationClosed}, replies(CommandHoldRefund, CommandReleaseRefund,
		CommandVoidTickets, CommandReinstateTickets, CommandRefund, CommandSettleRefund)...)},
	{Name: ConsumerProvider, Types: []string{TypeProviderChargeSucceeded, TypeProviderChargeFailed,
		TypeProviderRefundSucceeded, TypeProviderRefundFailed, CommandRefund}},
	{Name: ConsumerCheckout, Types: []string{TypeRefundCompleted, TypeRefundFailed}, ByBusinessKey: true},
	{Name: ConsumerJournal, Types: []string{TypeOrderPlaced, TypeTicketsIssued}, Lossy: true},
}

// TypesOf lists what a consumer is bound for.
func TypesOf(consumer string) []string {
	i := slices.IndexFunc(Consumers, func(c Consumer) bool { return c.Name == consumer })
	if i < 0 {
		return nil
	}
	return slices.Clone(Consumers[i].Types)
}

// Lossy says whether a queue is a bounded picture that nobody has to drain.
func Lossy(queue string) bool {
	return slices.ContainsFunc(Consumers, func(c Consumer) bool { return c.Name == queue && c.Lossy })
}

// journalLength is how many of the newest messages the lossy queue keeps.
const journalLength = 10_000

// Topology is what relay and worker both declare: the exchange of events, a
// queue per consumer, and the retry schedule's queues.
func Topology(schedule retry.Schedule) rabbit.Topology {
	t := rabbit.Topology{Exchanges: []rabbit.Exchange{{Name: patterns.Relays.Exchange, Kind: "topic"}}}
	for _, c := range Consumers {
		queue := rabbit.WorkQueue(c.Name, patterns.Names.Dead)
		if c.Lossy {
			queue = rabbit.LossyQueue(c.Name, journalLength)
		}
		t.Queues = append(t.Queues, queue)
		for _, kind := range c.Types {
			t.Bindings = append(t.Bindings, rabbit.Binding{Queue: c.Name, Exchange: patterns.Relays.Exchange, Key: kind})
		}
	}
	return patterns.Names.Topology(schedule).With(t)
}
