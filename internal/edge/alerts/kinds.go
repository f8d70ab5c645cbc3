// Package alerts knows every kind of alert: the list from which docs/production.md
// has its table and the database its CHECK.
package alerts

import (
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/retention"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once/outbox"
	keep "payonce/once/retention"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Kinds are all that exist, as the table of docs/production.md lists them.
func Kinds() []alert.Kind {
	return []alert.Kind{
		provider.AlertContradiction, checkout.AlertAmount, checkout.AlertInDoubt, checkout.AlertUnlisted, checkout.AlertRefused,
		checkout.AlertUnknownCharge, refund.AlertUnknown, checkout.AlertRefundContradiction, stuck(),
		tickets.AlertUsed, checkout.AlertAltered, checkout.AlertUnreadable,
		alert.Of(retry.TroubleDead), alert.Of(retry.TroubleReturned), unroutable(), alert.Of(outbox.TroubleRefused),
		patterns.AlertReplicas,
		delivery.AlertNotApplied,
		alert.Of(keep.TroubleOutbox), alert.Of(keep.TroubleKept), retention.AlertMissing,
		email.AlertAway, email.AlertLate, email.AlertFailed,
	}
}

// unroutable names what takes a replay back here.
func unroutable() alert.Kind {
	k := alert.Of(outbox.TroubleUnroutable)
	k.Remedy = "declare the queue: start a worker; what a person sent again can be taken back: `POST /v1/ops/dead-letters/{id}/take-back` or `/v1/ops/events/take-back`"
	return k
}

// stuck names what says of it here.
func stuck() alert.Kind {
	k := alert.Of(saga.TroubleStuck)
	k.Remedy = "`GET /v1/ops/sagas` says which step and why; retry it or decide: a decision that the outside contradicts is refused and says what was found"
	return k
}
