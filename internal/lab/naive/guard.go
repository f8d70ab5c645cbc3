package naive

import (
	"fmt"
	"slices"
)

// Guard is one protection that a naive checkout may have.
type Guard string

// The eight guards.
const (
	Key          Guard = "key"
	RequestHash  Guard = "request-hash"
	BusinessKey  Guard = "business-key"
	ProviderKey  Guard = "provider-key"
	Outbox       Guard = "outbox"
	Confirms     Guard = "confirms"
	Inbox        Guard = "inbox"
	UndoBeforeDo Guard = "undo-before-do"
)

// Link leads to the code that does it.
type Link struct {
	Label    string `json:"label"`
	File     string `json:"file"`
	Function string `json:"function"`
}

// About is what there is to say of a guard.
type About struct {
	Slug     Guard  `json:"slug"`
	Name     string `json:"name"`
	Protects string `json:"protects_from"`
	HarmName string `json:"harm_name"`
	// CaughtBy says where another guard catches the famous case as well, so that
	// this one's own case is another.
	CaughtBy string `json:"also_caught_by"`
	Code     []Link `json:"code"`
}

// Guards are all of them, in the order in which a click meets them.
var Guards = []About{
	{
		Slug: Key, Name: "Idempotency key",
		Protects: "A retry that is taken for a new wish.",
		HarmName: "one click, the card tried twice",
		CaughtBy: "A double-click on a card that is good is caught by the business key too: the purchase is made already. After a decline nothing is made, and only the key can tell a repetition from a second wish.",
		Code: []Link{
			{"the store of keys", "once/idempotency/idempotency.go", "Lookup"},
			{"the claim, folded into the state change", "once/idempotency/table.go", "ClaimFrom"},
			{"in the naive shop", "internal/lab/naive/capture.go", "recall"},
		},
	},
	{
		Slug: RequestHash, Name: "Request hash",
		Protects: "One key used for two different requests.",
		HarmName: "answered “paid”, and nothing was bought",
		CaughtBy: "Nobody: to every later guard a replay is a request that never came.",
		Code: []Link{
			{"the fingerprint", "once/idempotency/request.go", "Fingerprint"},
			{"the comparison", "once/idempotency/request.go", "Match"},
			{"in the naive shop", "internal/lab/naive/capture.go", "recall"},
		},
	},
	{
		Slug: BusinessKey, Name: "Business key",
		Protects: "Two keys for one purchase: two tabs, or a client that makes a new key for each try.",
		HarmName: "two tabs, two charges",
		CaughtBy: "One click repeated under one key is caught by the idempotency key before it comes here.",
		Code: []Link{
			{"the shop's claim", "internal/shop/checkout/capture.go", "claim"},
			{"in the naive shop", "internal/lab/naive/begin.go", "begin"},
		},
	},
	{
		Slug: ProviderKey, Name: "Key at the provider",
		Protects: "A charge whose answer was lost, asked for again.",
		HarmName: "the retry inside charges again",
		CaughtBy: "Nobody here: the keys before it guard our own door, and this retry is made behind it.",
		Code: []Link{
			{"the shop's call", "internal/shop/checkout/capture.go", "send"},
			{"in the naive shop", "internal/lab/naive/charge.go", "charge"},
		},
	},
	{
		Slug: Outbox, Name: "Outbox",
		Protects: "A process that ends between its commit and its publish.",
		HarmName: "paid, and no consumer knows",
		CaughtBy: "Nobody: the buyer's retry gets the stored answer, and the event stays unpublished for ever.",
		Code: []Link{
			{"writing", "once/outbox/outbox.go", "Append"},
			{"publishing", "once/outbox/relay.go", "Run"},
			{"in the naive shop", "internal/lab/naive/finish.go", "finish"},
		},
	},
	{
		Slug: Confirms, Name: "Confirms and mandatory",
		Protects: "A broker that takes a message and has no queue for it.",
		HarmName: "published, and nowhere",
		CaughtBy: "Nobody: the outbox marks what the publisher says is out.",
		Code: []Link{
			{"publishing", "once/rabbit/publisher.go", "Send"},
			{"only what is confirmed is marked", "once/outbox/outcome.go", "settle"},
			{"in the naive shop", "internal/lab/naive/outlet.go", "Send"},
		},
	},
	{
		Slug: Inbox, Name: "Inbox",
		Protects: "A message that is delivered twice.",
		HarmName: "delivered twice, booked twice",
		CaughtBy: "In the shop itself a business key under each effect (one transaction per payment, one ticket per seat) catches it as well; the naive tables have none.",
		Code: []Link{
			{"once per consumer", "once/inbox/table.go", "Admit"},
			{"the runner", "once/inbox/runner.go", "Run"},
			{"in the naive shop", "internal/lab/naive/consume.go", "bare"},
		},
	},
	{
		Slug: UndoBeforeDo, Name: "Undo before do",
		Protects: "A step that was done although its answer never came.",
		HarmName: "tickets void, and the money kept",
		CaughtBy: "Nobody: to everybody else this is a refund that failed, as refunds do.",
		Code: []Link{
			{"the undo is due from the command's commit", "once/saga/machine.go", "backward"},
			{"a participant remembers", "once/saga/participant.go", "Handle"},
			{"in the naive shop", "internal/lab/naive/refund.go", "hastily"},
		},
	},
}

// Set is the guards of one checkout.
type Set []Guard

// Has says whether a guard is on.
func (s Set) Has(g Guard) bool { return slices.Contains(s, g) }

// Preset makes a set: none, all, or all-but one. There are no others: what two
// missing guards do together teaches nothing about either.
func Preset(name string, but Guard) (Set, error) {
	set := Set{}
	known := false
	for _, g := range Guards {
		known = known || g.Slug == but
		if name != "none" && g.Slug != but {
			set = append(set, g.Slug)
		}
	}
	switch {
	case name == "all-but" && !known:
		return nil, fmt.Errorf("no guard is called %q", but)
	case name != "all-but" && but != "":
		return nil, fmt.Errorf("%q leaves out no guard, %q was given", name, but)
	case name != "none" && name != "all" && name != "all-but":
		return nil, fmt.Errorf("no preset is called %q", name)
	}
	return set, nil
}

func aboutOf(slug string) (About, bool) {
	i := slices.IndexFunc(Guards, func(a About) bool { return string(a.Slug) == slug })
	if i < 0 {
		return About{}, false
	}
	return Guards[i], true
}
