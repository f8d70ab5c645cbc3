// Package e2e holds the tests that look at the whole house from outside: real
// programs, real services, clicks over HTTP, kills by pid, and counts made at
// the provider and at the mailbox. What they claim is what the README claims.
package e2e
