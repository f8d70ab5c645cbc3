package provider

import "payonce/internal/platform/alert"

// AlertContradiction is about a payment or a refund, which is its subject.
var AlertContradiction = alert.Kind{
	Name:   "provider_contradiction",
	Means:  "the provider says the opposite of what is stored, or holds a charge for a payment that no attempt asked for",
	Remedy: "read both facts, look at the provider's books, decide: `POST /v1/ops/payments/{id}/resolve`; about a refund, give back by hand what is owed, or decide its saga",
	Ends:   "the decision, when books and provider agree after it; of a charge that no attempt asked for, also the next capture that finds it given back; of a refund, the reconciliation that finds both agreed, or the booking of what went back",
	// A refund that the provider takes back after its success is booked nowhere by itself.
	PersonAbout: "ref_",
}
