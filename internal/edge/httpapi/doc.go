// Package httpapi is the shop's HTTP edge: routes, refusals, pages and the live
// stream. It is the only package that knows gin.
//
// # The problem
//
// A payment API is judged by its refusals. A client that is refused in two
// different orders by two routes, that gets HTML where it expects a problem
// document, or a 500 where the right word was "ask again with the same key",
// makes a new key and pays twice.
//
// # The promise
//
// Requests are refused in one order, the same for every route; each step below
// is one middleware, in this order, and nothing has an effect before the last:
//
//	421 host → 404 route → 405 → 429 address → 413 → 415 → 401, 403 → 429 sandbox →
//	400 key → 400 parameters and body → 404 id → 422 key reused → the business
//
// One route is opened by a signature instead of a caller: after 413 stand 400
// headers, 401 signature, 400 timestamp and 400 body of a webhook, and no code
// looks at its bytes before. What the provider signed has no limit; an address that
// sent too much without a valid signature is not read for a while.
//
// Every refusal, also gin's own and every panic, is a problem document
// (RFC 9457) with the request's id; no SQL, stack or provider text is in it. The
// contract (api/openapi.yaml) decides what a valid request is; there is no
// second description of it here.
//
// A stored answer is sent as the bytes that were stored. What is fresh about it
// are X-Request-Id, Date, RateLimit and Idempotent-Replayed.
//
// # What is not promised
//
// That an attempt is journalled: rows are written after the answer, in batches,
// and lost when the process is killed in between. That a client behind a shared
// address is never limited: buckets count per sandbox and per address.
//
// # Killed here, then what
//
//	before the handler              nothing happened
//	inside of the handler           see package checkout
//	after the handler, before the
//	answer is on the wire           the client asks again and gets the stored bytes
package httpapi
