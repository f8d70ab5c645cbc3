package wire

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
		"GET /v1/catalogue lists what is on sale."}
	KindAlreadyCaptured = Kind{"payment-already-captured", 409, "Payment already captured",
		"The payment was captured and then wholly or partly refunded; it cannot be captured again.",
		"Place a new order."}
	KindNeedsReview = Kind{"payment-needs-review", 409, "A person has to decide",
		"The provider contradicts the stored outcome of this payment, so no new attempt may start until somebody has looked. An alert holds both facts.",
		"Wait, and read the payment again later."}
	KindDeclined = Kind{"payment-declined", 402, "Payment declined",
		"The provider refused to charge the card. This is an outcome: it is stored, and the same key gets it again.",
		"Use another card, with a new key."}
	KindProviderUnavailable = Kind{"provider-unavailable", 503, "Provider unavailable",
		"The provider could not be reached and certainly did not charge. The key is free again.",
		"Ask again with the same key after Retry-After."}
	KindProviderRefused = Kind{"provider-refused", 503, "Provider refused the request",
		"The provider rejected the request itself, so the card was not charged. That is a mistake of ours or of theirs, and somebody was told.",
		"Ask again with the same key later."}
	KindUnavailable = Kind{"unavailable", 503, "Temporarily unavailable",
		"The database is away. executed says \"no\" when certainly nothing happened and \"unknown\" when the answer may have been lost on its way.",
		"In both cases ask again with the same key after Retry-After. That is safe; a new key is not needed."}
	KindInternal = Kind{"internal-error", 500, "Internal error",
		"Something is wrong on our side. The request id finds it in our logs.",
		"Ask again with the same key; if it stays, tell us the request id."}
)

// Kinds lists every kind, for the pages that explain them.
var Kinds = []Kind{KindNotFound, KindMethodNotAllowed, KindBodyTooLarge, KindUnsupportedMediaType, KindAuthenticationRequired,
	KindCrossSiteRequest, KindOperatorRequired, KindTooManyRequests, KindKeyMissing, KindKeyInvalid, KindInvalidRequest, KindKeyReused,
	KindKeyInProgress, KindAmountMismatch, KindUnknownItem, KindAlreadyCaptured, KindNeedsReview, KindDeclined, KindProviderUnavailable, KindProviderRefused,
	KindUnavailable, KindInternal}

// Document makes a problem document. The instance is the path that was asked.
func (k Kind) Document(instance, detail string) Problem {
	return Problem{Type: k.Type(), Title: k.Title, Status: k.Status, Detail: detail, Instance: instance}
}
