package checkout

// Kinds of alerts about a payment. Each names the payment as its subject and the
// attempt in its facts; while one is open, a difference between our books and
// the provider's is known to a person.
const (
	// AlertContradiction: the provider says the opposite of what is stored.
	AlertContradiction = "provider_contradiction"
	// AlertAmount: the provider speaks of another amount.
	AlertAmount = "provider_amount"
	// AlertRefused: the provider rejected our request.
	AlertRefused = "provider_refused"
	// AlertInDoubt: nobody has known for a day.
	AlertInDoubt = "provider_in_doubt"
	// AlertUnlisted: the provider's list of the payment's charges could not be read
	// to its end, so whether it holds money is unknown. A capture that reads all of
	// it resolves the alert.
	AlertUnlisted = "provider_unlisted"
)

// about are the kinds that a person resolves with [Service.Resolve].
var about = []string{AlertContradiction, AlertAmount, AlertRefused, AlertInDoubt, AlertUnlisted}
