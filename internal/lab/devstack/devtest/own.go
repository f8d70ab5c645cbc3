package devtest

import (
	"context"
	"os"
	"testing"

	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

// Own starts a Postgres and a RabbitMQ that belong to this test alone, which may
// stop, kill and freeze them. They write to disk in earnest, because a service
// that is killed may only have what it synced. The database
// [devstack.MainDatabase] is migrated.
func Own(t testing.TB) *devstack.Stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "payonce-own-")
	if err != nil {
		t.Fatalf("devtest: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the user postgres must be able to enter
		t.Fatalf("devtest: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	stack, err := devstack.Start(ctx, devstack.Options{Dir: dir + "/stack", Databases: []string{devstack.MainDatabase}, Progress: note})
	if err != nil {
		t.Fatalf("devtest: %v", err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Errorf("devtest: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("devtest: %v", err)
		}
	})
	if _, err := postgres.Migrate(ctx, postgres.Config{DSN: stack.OwnerDSN(devstack.MainDatabase)}, migrations.Files); err != nil {
		t.Fatalf("devtest: %v", err)
	}
	return stack
}
