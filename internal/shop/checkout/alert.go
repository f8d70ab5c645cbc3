package checkout

import (
	"payonce/internal/platform/alert"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// Kinds of alerts about a payment, which is their subject. Their facts name the
// attempt, and the provider's object with its amount where there is one.
var (
	AlertAmount = alert.Kind{
		Name:   "provider_amount",
		Means:  "the provider speaks of another amount",
		Remedy: "give the charge back at the provider, then decide: `POST /v1/ops/payments/{id}/resolve`",
		Ends:   "the attempt's outcome, or the decision",
	}
	AlertRefused = alert.Kind{
		Name:   "provider_refused",
		Means:  "the provider rejected our request as wrong; no money moved",
		Remedy: "its reason is in the facts: a setting, or a bug of ours",
		Ends:   "the payment's next outcome, or a decision",
	}
	AlertInDoubt = alert.Kind{
		Name:   "provider_in_doubt",
		Means:  "the outcome of an attempt has been unknown for a day",
		Remedy: "ask the provider for the charge by its key, then decide: `POST /v1/ops/payments/{id}/resolve`",
		Ends:   "the attempt's outcome, or the decision",
	}
	AlertUnlisted = alert.Kind{
		Name:   "provider_unlisted",
		Means:  "the provider's charges of a payment could not be listed to their end: whether it holds money is unknown",
		Remedy: "look at the provider's listing of that reference",
		Ends:   "the next capture that reads the whole list, or the decision",
	}
)

// about are the kinds that a person resolves with [Service.Resolve].
var about = []alert.Kind{provider.AlertContradiction, AlertAmount, AlertRefused, AlertInDoubt, AlertUnlisted}

// Kinds of alerts that the webhook raises.
var (
	AlertUnknownCharge = alert.Kind{
		Name:     "provider_unknown_charge",
		Means:    "the provider names a charge that no attempt asked for and that names no payment; its id is the subject",
		Remedy:   "find out who uses the account; give it back at the provider",
		ByPerson: true,
	}
	AlertAltered = alert.Kind{
		Name:     "webhook_altered",
		Means:    "a webhook came again under its id with another content; the first content counts",
		Remedy:   "ask the provider what it sent; a secret that leaked is to be changed",
		ByPerson: true,
	}
	AlertUnreadable = alert.Kind{
		Name:     "webhook_unreadable",
		Means:    "the provider signs what this version cannot read; nothing is acknowledged, so it comes again",
		Remedy:   "its reason is in the facts: update the program",
		ByPerson: true,
	}
	// AlertRefundContradiction is about a refund, which is its subject.
	AlertRefundContradiction = alert.Kind{
		Name:     "refund_contradiction",
		Means:    "a refund's reservation was closed, and then the other outcome was reported",
		Remedy:   "compare the refund's saga with the provider's refund",
		ByPerson: true,
	}
)

// contradictionFacts are the two facts, and the money that they are about.
type contradictionFacts struct {
	Attempt        int    `json:"attempt_no"`
	Stored         string `json:"stored"`
	StoredCharge   string `json:"stored_charge"`
	ProviderSays   string `json:"provider_says"`
	ProviderCharge string `json:"provider_charge"`
	alert.Money
}

// moneyFor is the money over which outcome and attempt differ: the provider's
// charge, or ours when the provider has none.
func (o outcome) moneyFor(a attempt) alert.Money {
	if o.attemptStatus == attemptSucceeded {
		return moneyOf(o.chargeID, o.amount)
	}
	return moneyOf(a.ChargeID.String, money.Of(a.AmountMinor, a.Currency))
}

func moneyOf(object string, m money.Money) alert.Money {
	return alert.Money{Object: object, AmountMinor: m.AmountMinor, Currency: m.Currency}
}
