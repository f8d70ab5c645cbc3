// Package migrations holds the shop's schema as numbered, forward-only steps.
// Each must run under the old and under the new code.
package migrations

import "embed"

// Files are the goose migrations in order.
//
//go:embed *.sql
var Files embed.FS
