package migrations_test

import (
	"io/fs"
	"regexp"
	"testing"

	"payonce/migrations"
)

// Two branches that each add a migration meet here, and not when a database is made.
func TestNoTwoMigrationsHaveOneNumber(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.Files, "[0-9]*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	numbered, by := regexp.MustCompile(`^\d{5}_[a-z_]+\.sql$`), map[string]string{}
	for _, name := range names {
		if !numbered.MatchString(name) {
			t.Errorf("%s is not named like 00001_what_it_does.sql", name)
			continue
		}
		if other := by[name[:5]]; other != "" {
			t.Errorf("%s and %s have one number", other, name)
		}
		by[name[:5]] = name
	}
}
