package tickets

import "payonce/internal/platform/alert"

// AlertUsedUnpaid is about a ticket, which is its subject.
var AlertUsedUnpaid = alert.Kind{
	Name:   "ticket_used_unpaid",
	Means:  "a ticket was used, and nothing is paid for it any more",
	Remedy: "ask the buyer, or write it off",
	Ends:   "a person, with a reason",
}
