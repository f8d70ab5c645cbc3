// Package alerts knows every kind of alert: the list from which docs/production.md
// has its table and the database its CHECK.
package alerts

import (
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/retention"
	"payonce/internal/pattern/saga"
	"payonce/internal/platform/alert"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once/outbox"
	"payonce/once/retry"
)

// Kinds are all that exist, as the table of docs/production.md lists them.
func Kinds() []alert.Kind {
	return []alert.Kind{
		provider.AlertContradiction, checkout.AlertAmount, checkout.AlertInDoubt, checkout.AlertUnlisted, checkout.AlertRefused,
		checkout.AlertUnknownCharge, refund.AlertUnknown, checkout.AlertRefundContradiction, saga.AlertStuck,
		tickets.AlertUsed, checkout.AlertAltered, checkout.AlertUnreadable,
		alert.Of(retry.TroubleDead), alert.Of(retry.TroubleReturned), unroutable(), alert.Of(outbox.TroubleRefused),
		delivery.AlertNotApplied,
		retention.AlertOutbox, retention.AlertKept, retention.AlertMissing,
		email.AlertAway, email.AlertLate, email.AlertFailed,
	}
}

// unroutable names what takes a replay back here.
func unroutable() alert.Kind {
	k := alert.Of(outbox.TroubleUnroutable)
	k.Remedy = "declare the queue: start a worker; what a person sent again can be taken back: `POST /v1/ops/dead-letters/{id}/take-back` or `/v1/ops/events/take-back`"
	return k
}
