package refund

import "payonce/internal/platform/alert"

// AlertUnknown is about a refund of the provider's, which is its subject.
var AlertUnknown = alert.Kind{
	Name:   "provider_unknown_refund",
	Means:  "the provider gave money back without a refund of ours",
	Remedy: "find out who gave it back, and why",
	Ends:   "a person, with a reason",
}
