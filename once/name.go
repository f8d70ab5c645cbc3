package once

import (
	"fmt"
	"regexp"
	"strings"
)

// Name is what a program calls its own set of the patterns' tables, exchanges, queues
// and locks. Two programs with two names share a database and a virtual host, and
// nothing of one reaches the other. There is no default: a default is a name that two
// programs have.
type Name string

var possible = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// Check returns an error when the name cannot be a part of each name made of it.
func (n Name) Check() error {
	if !possible.MatchString(string(n)) || strings.HasPrefix(string(n), "pg_") { // which is the server's
		return fmt.Errorf("once: the name %q is not a letter a-z and up to 30 of a-z, 0-9 and _, or begins with pg_", n)
	}
	return nil
}

// Schema is the SQL schema that holds the tables. Empty, they are looked for on the
// session's search_path.
type Schema string

// In writes the tables that stand in braces in a statement as they are called there:
// {letters} is letters, or "name".letters.
func (s Schema) In(statement string) string {
	within := ""
	if s != "" {
		within = s.quoted() + "."
	}
	return inBraces.ReplaceAllStringFunc(statement, func(name string) string { return within + strings.Trim(name, "{}") })
}

func (s Schema) quoted() string { return `"` + strings.ReplaceAll(string(s), `"`, `""`) + `"` }

var inBraces = regexp.MustCompile(`\{([a-z_]+)\}`)
