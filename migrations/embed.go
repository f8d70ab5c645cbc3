// Package migrations holds the shop's schema as numbered, forward-only steps.
// Each must run under the old and under the new code. grants.sql stands beside them:
// what the roles of the programs may do with the schema as it is now.
package migrations

import "embed"

// Files are the goose migrations in order, and grants.sql.
//
//go:embed *.sql
var Files embed.FS
