package refund

import "payonce/internal/platform/alert"

// AlertUnknown is about a refund of the provider's, which is its subject.
var AlertUnknown = alert.Kind{
	Name:     "provider_unknown_refund",
	Means:    "the provider gave money back without a refund of ours, and it is not booked: no payment has that charge, or `stored` in the facts says why not yet",
	Remedy:   "find out who gave it back, and why; a refund of the payment that is under way must end first",
	Ends:     "the booking, by the reconciliation at the latest",
	ByPerson: true,
}
