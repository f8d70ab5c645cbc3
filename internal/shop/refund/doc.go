// Package refund gives money back: a saga through the book, the tickets, the
// provider and the mailbox, which share no transaction.
//
//	POST /v1/refunds, Idempotency-Key K
//	 one transaction: the payment's reservation, the refund, its saga,
//	                  refund.requested, K's exact answer
//
//	 hold_funds ──▶ void_tickets ──▶ refund ──▶ settle ──▶ completed
//	  ledger         tickets         provider    ledger        │
//	    ▲              ▲              │ pivot               checkout: refunded
//	    │ release      │ reinstate    │                     email: it went back
//	    └──────────────┴──────────────┘
//	       the provider's definite no ──▶ failed
//	                                       │
//	                       checkout: reservation released, email: why not
//
// A refund that leaves nothing captured voids the order's tickets; a partial one
// skips that step. Of partial refunds that together would leave nothing, the last
// one cannot know it while an earlier one may still be refused: it waits at its
// void until each earlier reservation of the payment is closed, and then decides
// by what is left, under the payment's lock. Later refunds wait for it in turn, so
// none waits for itself, and the way back of an earlier one waits for none. It is
// woken by refund.reservation_closed, and by its step's deadline should that be
// lost.
//
// # The bound
//
// The request reserves its amount in its own transaction, by the statement that
// locks the payment's row (see [Payments]): of twenty requests for the whole
// amount one is accepted. The book's hold mirrors the reservation and refuses by
// itself what it does not hold, and the provider never gives back more than it
// took.
//
// # The pivot
//
// Money that has gone back cannot be called off. [Gateway] therefore asks, then
// records: under the key "refund:ref_…", which never changes, and asks what
// became of it before it sends again. Only an answer that is about this key ends
// the step. A request that the provider rejects as such ([provider.ErrRefused])
// says nothing about an earlier try, so it does not undo anything: the message
// is given to a person and the saga stays where it is, with an alert.
//
// # Made at the provider
//
// Money that went back of a charge of ours without a request here is an external
// refund ([Notices]): booked at once, without a saga, because nothing can refuse it
// any more. While a refund of ours is under way it waits for that one's end.
//
// # A decision at the pivot
//
// When the provider is silent for too long a person may decide how the refund
// ended. [Gateway.Look] then asks the provider whether the money is gone, by the
// same key: "compensated" while it is, or "completed" while it is not, is refused.
// A refund that the provider carries out later still contradicts one that failed,
// and [Notices] receives the message.
//
// # Killed here, then what
//
//	before the request commits    nothing happened; the retry runs as new
//	after it                      the retry reads the stored answer; the saga runs
//	between the call and its tx2  the command comes again and asks by the key
//	anywhere else                 see once/saga
//
// The package owns the table refunds, and with once/saga the saga's. It knows
// payments only through the interfaces that it declares and cmd wires.
package refund
