package wire

import "slices"

// Kind is one sort of problem: the contract of its page at /problems/{slug},
// its status and its words. Details differ from case to case, kinds do not.
type Kind struct {
	Slug   string
	Status int
	Title  string
	// Meaning and Remedy are the page's text: what happened, what to do.
	Meaning, Remedy string
}

// Type is the problem document's type.
func (k Kind) Type() string { return "/problems/" + k.Slug }

// The kinds of problems, in the order in which a request is refused.
var (
	KindMisdirected = Kind{"misdirected-request", 421, "Misdirected request",
		"The Host header names another server than this one: neither the public URL's host, nor an address, nor localhost. A page whose name was pointed at this machine would come so.",
		"Use the public URL. A name that this server should know stands in PAYONCE_HOSTS."}
	KindNotFound = Kind{"not-found", 404, "Not found",
		"There is nothing here by that name, or it belongs to somebody else. Which of the two is not said.",
		"Check the path and the id. An id is a prefix and 32 hexadecimal digits in lower case."}
	KindMethodNotAllowed = Kind{"method-not-allowed", 405, "Method not allowed",
		"The address exists, the method does not.",
		"Use one of the methods in the Allow header."}
	KindBodyTooLarge = Kind{"body-too-large", 413, "Body too large",
		"A request body may have at most 65,536 bytes.",
		"Send less. No request of this interface needs more than a few hundred bytes."}
	KindUnsupportedMediaType = Kind{"unsupported-media-type", 415, "Unsupported media type",
		"Bodies are JSON, uncompressed, and say so.",
		"Send Content-Type: application/json."}
	KindAuthenticationRequired = Kind{"authentication-required", 401, "Authentication required",
		"The request carries neither a sandbox's cookie nor an API key that exists.",
		"Open the first page in a browser, which sets the cookie, or POST /v1/sandboxes and send the key as Authorization: Bearer sk_test_…"}
	KindCrossSiteRequest = Kind{"cross-site-request", 403, "Cross-site request",
		"A POST that is authenticated by a cookie must come from a page of the same origin; this one did not say so.",
		"Programs use an API key. Browsers send Origin or Sec-Fetch-Site by themselves."}
	KindOperatorRequired = Kind{"operator-required", 403, "Operator's token required",
		"What was asked for is global and belongs to no sandbox, or the operator asked for what only a sandbox has.",
		"Send the operator's token for global figures, and a sandbox's API key for its own rows."}
	KindTooManyRequests = Kind{"too-many-requests", 429, "Too many requests",
		"The bucket of this sandbox or of this address is empty. Nothing was done.",
		"Wait as long as Retry-After says, then ask again with the same key."}
	KindKeyMissing = Kind{"idempotency-key-missing", 400, "Idempotency-Key missing",
		"This operation has an effect that must happen once, so every request names its intent.",
		"Send an Idempotency-Key header: one made-up value per intent, the same on every retry, stored before the first request leaves."}
	KindKeyInvalid = Kind{"idempotency-key-invalid", 400, "Idempotency-Key invalid",
		"A key has 1 to 255 visible ASCII characters and is sent once; in its quoted form it is one whole structured-field string without parameters.",
		"Send a UUID or another random value, bare or in double quotes."}
	KindInvalidRequest = Kind{"invalid-request", 400, "Invalid request",
		"The body or a parameter does not fit the contract. errors[] points at each place. Nothing was done and nothing is stored under the key.",
		"Correct what errors[] points at and ask again with the same key."}
	KindKeyReused = Kind{"idempotency-key-reused", 422, "Idempotency-Key reused",
		"The key was used for a request that differs from this one. errors[] points at each field that differs; the stored values are not revealed.",
		"For another intent make another key. To repeat the first intent, repeat its request exactly."}
	KindKeyInProgress = Kind{"idempotency-key-in-progress", 409, "Still in progress",
		"A request with this key, or for this payment, is still running and was not finished while this one waited.",
		"Ask again with the same key after Retry-After; you will get the first request's outcome."}
	KindAmountMismatch = Kind{"amount-mismatch", 422, "Amount mismatch",
		"The amount or the currency is not the payment's. The card was not charged.",
		"Read the payment and send its amount and currency, with a new key."}
	KindUnknownItem = Kind{"unknown-item", 422, "Unknown item",
		"An item is not in the catalogue, or the items cannot be sold together. No order was made.",
		"GET /v1/catalogue lists what is on sale. The refusal is stored, so ask with a new key."}
	KindAlreadyCaptured = Kind{"payment-already-captured", 409, "Payment already captured",
		"The payment was captured and then wholly or partly refunded; it cannot be captured again.",
		"Place a new order."}
	KindNotCaptured = Kind{"payment-not-captured", 409, "Payment not captured",
		"The payment was not captured, so there is nothing to give back. Nothing was done.",
		"The refusal is stored, and the same key gets it again. Read the payment; once it is captured, ask with a new key."}
	KindExceedsCaptured = Kind{"refund-exceeds-captured", 422, "Refund exceeds what was captured",
		"What has gone back, what is on its way back and this refund together would exceed the payment. Nothing was done.",
		"The refusal is stored, and the same key gets it again. Read the payment and its refunds, and ask for what is left, with a new key: a refund that fails gives its amount free."}
	KindTicketUsed = Kind{"ticket-used", 409, "Ticket used",
		"Somebody came in with this ticket before.",
		"Look at the time in detail: a lost answer is seconds old, a copy is not."}
	KindTicketVoid = Kind{"ticket-void", 409, "Ticket void",
		"The ticket's money went back, or is on its way back.",
		"Nobody comes in with it. Should the refund be refused, the ticket is good again."}
	KindSagaNotStuck = Kind{"saga-not-stuck", 409, "Saga not stuck",
		"The saga needs no decision: somebody was first, or it went on by itself.",
		"Read it again."}
	KindSagaPastPivot = Kind{"saga-past-pivot", 409, "The pivot says otherwise",
		"A saga whose pivot is done cannot be declared undone, nor one completed that is on its way back.",
		"Resolve it as the other outcome, or retry it."}
	KindSagaContradicted = Kind{"saga-decision-contradicted", 409, "The provider says otherwise",
		"The provider was asked, and the saga did not end as the decision says. The decision is kept as refused; nothing else has changed.",
		"Read detail, which says what was found, and decide otherwise or retry the saga."}
	KindNeedsReview = Kind{"payment-needs-review", 409, "A person has to decide",
		"The provider contradicts the stored outcome of this payment, so no new attempt may start until somebody has looked. An alert holds both facts.",
		"Wait, and read the payment again later."}
	KindLetterClosed = Kind{"dead-letter-closed", 409, "Dead letter closed",
		"Somebody has decided about this dead letter already, or its event was applied after all.",
		"Read the letter: it says what was decided, by whom and why. If it dies again, it is open again."}
	KindLetterTooOld = Kind{"dead-letter-too-old", 409, "Too old to be replayed",
		"The event is older than the replay limit, so its consumer may have forgotten whether it was applied.",
		"Apply it by its business key (POST …/apply), or discard it."}
	KindLetterReplayable = Kind{"dead-letter-still-replayable", 409, "Still replayable",
		"The event is young enough for an ordinary replay, which the consumer's inbox dedupes.",
		"Replay it (POST …/replay)."}
	KindLetterUnreadable = Kind{"dead-letter-unreadable", 409, "Unreadable message",
		"The message does not say which event it is, so nothing can be sent again.",
		"Read its body and discard it; whatever it stood for has to be done by its cause."}
	KindLetterNoBusinessKey = Kind{"dead-letter-no-business-key", 409, "No business key",
		"This consumer's effects are not unique by a key of the business. Applied past its dedupe window the event could have its effect twice.",
		"Look whether the effect is there, and discard the letter."}
	KindLetterSent = Kind{"dead-letter-sent", 409, "Nothing to take back",
		"What was asked to be sent again does not wait: it has left for its queue, or it was never asked for.",
		"Of a letter's replay, read the letter: if the event dies again, it is open again. If the broker lost it, POST /v1/ops/events/resend."}
	KindQueueUnavailable = Kind{"queue-unavailable", 409, "Queue not available",
		"The consumer's queue is gone, or the broker takes no message for it: what is sent there would only wait. Nothing was sent.",
		"Start a worker, which declares its queues, or look at the broker; GET /v1/ops/queues and the open alerts say what is wrong."}
	KindNothingToResolve = Kind{"nothing-to-resolve", 409, "Nothing to resolve",
		"Nothing about this payment waits for a person: there is no open alert, or somebody has decided before.",
		"GET /v1/ops/alerts lists what is open."}
	KindStillApart = Kind{"books-still-apart", 409, "The books would still differ",
		"After that decision our books and the provider's would still differ, so the alert stays open. The provider was asked just now.",
		"Bring the provider's books in order first (give back the charge that is one too many), or decide the other way."}
	KindAlertResolved = Kind{"alert-resolved", 409, "Alert resolved",
		"The alert is not open any more: its trouble ended, or a person resolved it. Or its mail is queued already.",
		"GET /v1/ops/alerts shows who resolved it and why. If the trouble comes again, it is another alert."}
	KindAlertEndsOtherwise = Kind{"alert-ends-otherwise", 409, "The alert ends otherwise",
		"This way does not end an alert of this kind. detail says what does.",
		"Do what detail says; the alert then resolves by itself."}
	KindDeclined = Kind{"payment-declined", 402, "Payment declined",
		"The provider refused to charge the card. This is an outcome: it is stored, and the same key gets it again.",
		"Try again or use another card, with a new key."}
	KindProviderUnavailable = Kind{"provider-unavailable", 503, "Provider unavailable",
		"The provider could not be reached and certainly did not charge. The key is free again.",
		"Ask again with the same key after Retry-After."}
	KindProviderRefused = Kind{"provider-refused", 503, "Provider refused the request",
		"The provider rejected the request itself, so the card was not charged. That is a mistake of ours or of theirs, and the operator was alerted.",
		"Ask again with the same key later."}
	KindUnavailable = Kind{"unavailable", 503, "Temporarily unavailable",
		"The database is away, did not answer in time, or has no place for what would have to be written: a day's partition is missing. executed says \"no\" when certainly nothing happened and \"unknown\" when the answer may have been lost on its way.",
		"In both cases ask again with the same key after Retry-After. That is safe; a new key is not needed."}
	KindWebhookMalformed = Kind{"webhook-malformed", 400, "Webhook headers malformed",
		"A webhook carries webhook-id, webhook-timestamp and webhook-signature, each once and in its form. Nothing was looked at and nothing was written.",
		"Send the three headers of the Standard Webhooks specification."}
	KindWebhookSignature = Kind{"webhook-signature-invalid", 401, "Webhook signature invalid",
		"None of the secrets that are valid now made a signature of this message's raw bytes: it was forged, or it was changed on its way. Nothing was written.",
		"Sign webhook-id, webhook-timestamp and the body exactly as it is sent, with the current secret."}
	KindWebhookTimestamp = Kind{"webhook-timestamp-out-of-tolerance", 400, "Webhook timestamp out of tolerance",
		"The signature is right, and the timestamp is more than five minutes from now: a copy that was kept back, or a clock that is wrong. Nothing was written.",
		"Sign every try anew, with the time at which it is sent."}
	KindWebhookUnreadable = Kind{"webhook-unreadable", 400, "Webhook unreadable",
		"The message is the provider's, but its body is no message that can be read. Nothing was written.",
		"Send a JSON object with type, timestamp and data."}
	KindInternal = Kind{"internal-error", 500, "Internal error",
		"Something is wrong on our side. The request id finds it in our logs.",
		"Ask again with the same key; if it stays, tell us the request id."}
)

// Kinds lists every kind, for the pages that explain them.
var Kinds = []Kind{KindNotFound, KindMethodNotAllowed, KindBodyTooLarge, KindUnsupportedMediaType, KindAuthenticationRequired,
	KindCrossSiteRequest, KindOperatorRequired, KindTooManyRequests, KindKeyMissing, KindKeyInvalid, KindInvalidRequest, KindKeyReused,
	KindKeyInProgress, KindAmountMismatch, KindUnknownItem, KindAlreadyCaptured, KindNotCaptured, KindExceedsCaptured,
	KindTicketUsed, KindTicketVoid, KindSagaNotStuck, KindSagaPastPivot, KindSagaContradicted, KindNeedsReview,
	KindLetterClosed, KindLetterTooOld, KindLetterReplayable, KindLetterUnreadable, KindLetterNoBusinessKey, KindLetterSent, KindQueueUnavailable,
	KindNothingToResolve, KindStillApart, KindAlertResolved, KindAlertEndsOtherwise, KindDeclined, KindProviderUnavailable, KindProviderRefused,
	KindUnavailable, KindWebhookMalformed, KindWebhookSignature, KindWebhookTimestamp, KindWebhookUnreadable, KindInternal}

// kept are the refusals that are stored under the key: what caused one may have
// passed, and the key gets it again all the same. A key that names another
// request is of no more use either.
var kept = []Kind{KindDeclined, KindAmountMismatch, KindUnknownItem, KindAlreadyCaptured, KindNotCaptured, KindExceedsCaptured, KindKeyReused}

// RetryKey says which key the next request to a keyed operation needs after a
// problem of this kind; "" where the key itself is what is wrong.
func (k Kind) RetryKey() ProblemRetryKey {
	switch {
	case slices.Contains(kept, k):
		return ProblemRetryKeyNew
	case k == KindKeyMissing || k == KindKeyInvalid:
		return ""
	}
	return ProblemRetryKeySame
}

// Document makes a problem document. The instance is the path that was asked. It
// says by itself when only a new key leads on; that the same one does is said
// where it is known that the operation has keys.
func (k Kind) Document(instance, detail string) Problem {
	p := Problem{Type: k.Type(), Title: k.Title, Status: k.Status, Detail: detail, Instance: instance}
	if next := k.RetryKey(); next == ProblemRetryKeyNew {
		p.RetryKey = &next
	}
	return p
}
