package devtest_test

import (
	"database/sql"
	"sync"
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
)

func TestEightTestsAtOnceGetEightMigratedDatabasesThatAreGoneAfterwards(t *testing.T) {
	t.Parallel()
	watcher := devtest.EmptyDSN(t)
	var mu sync.Mutex
	names := map[string]bool{}
	t.Run("eight", func(t *testing.T) {
		for range 8 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				db := devtest.Postgres(t)
				var name string
				if err := db.Get(t.Context(), &name, `SELECT current_database()`); err != nil {
					t.Fatal(err)
				}
				var tables int
				if err := db.Get(t.Context(), &tables, `SELECT count(*) FROM pg_tables WHERE tablename IN ('payments', 'outbox_events')`); err != nil {
					t.Fatal(err)
				}
				if tables != 2 {
					t.Errorf("want the migrated tables, found %d of 2", tables)
				}
				mu.Lock()
				names[name] = true
				mu.Unlock()
			})
		}
	})
	if len(names) != 8 {
		t.Errorf("want 8 databases, got %d", len(names))
	}
	for name := range names {
		if exists(t, watcher, name) {
			t.Errorf("database %s outlives its test", name)
		}
	}
}

func TestAnEmptyDatabaseHasNoTables(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.EmptyDSN(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables int
	if err := db.Get(t.Context(), &tables, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); err != nil {
		t.Fatal(err)
	}
	if tables != 0 {
		t.Errorf("want 0 tables, got %d", tables)
	}
}

func exists(t *testing.T, dsn, name string) (found bool) {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}
