// Package alerts knows every kind of alert: the list from which docs/production.md
// has its table and the database its CHECK.
package alerts

import (
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/retention"
	"payonce/internal/pattern/outbox"
	"payonce/internal/pattern/saga"
	"payonce/internal/platform/alert"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once/retry"
)

// Kinds are all that exist, as the table of docs/production.md lists them.
func Kinds() []alert.Kind {
	return []alert.Kind{
		provider.AlertContradiction, checkout.AlertAmount, checkout.AlertInDoubt, checkout.AlertUnlisted, checkout.AlertRefused,
		checkout.AlertUnknownCharge, refund.AlertUnknown, checkout.AlertRefundContradiction, saga.AlertStuck,
		tickets.AlertUsed, checkout.AlertAltered, checkout.AlertUnreadable,
		alert.Of(retry.TroubleDead), alert.Of(retry.TroubleReturned), outbox.AlertUnroutable, outbox.AlertRefused,
		delivery.AlertNotApplied,
		retention.AlertOutbox, retention.AlertKept, retention.AlertMissing,
		email.AlertAway, email.AlertLate, email.AlertFailed,
	}
}
