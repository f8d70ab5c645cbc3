// Package bursts is the laboratory's outside hand: it clicks many times at once,
// arms crash points and looks into the mailbox.
//
// A browser opens six connections to a host, so fifty clicks from a page are not
// fifty requests at once. The burst runner is a client like any other: it sends
// real HTTP to the shop's public address, with the sandbox's own API key, and
// knows nothing that the answers do not say. What it finds can therefore be
// believed as evidence: it goes through every middleware, limit and timeout that
// a stranger would.
//
// The routes are plain handlers below /v1/lab. Only a lab build mounts them; the
// edge has recognised the caller before they run.
package bursts
