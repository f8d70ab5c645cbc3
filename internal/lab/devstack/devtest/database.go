package devtest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

// database makes one of the shop's owner from the template and drops it when the test ends, with
// whatever connections the test forgot.
func database(t testing.TB, server, template string) string {
	t.Helper()
	name := pq.QuoteIdentifier("t_" + short(t.Name()) + "_" + uuid.NewString()[24:])
	if err := administer(t.Context(), server, "CREATE DATABASE "+name+" TEMPLATE "+pq.QuoteIdentifier(template)+" OWNER "+devstack.OwnerRole+" STRATEGY file_copy"); err != nil {
		t.Fatalf("devtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := administer(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("devtest: %v", err)
		}
	})
	return in(server, name[1:len(name)-1])
}

// migratedTemplate returns the name of the template, made by the first who
// wants it. The name holds a hash of the migrations, so a changed migration
// never meets an old template; the advisory lock makes test binaries take
// turns; the flag datistemplate is set last, so a half-made one is made anew.
func migratedTemplate(ctx context.Context, server string) (string, error) {
	templateOnce.Lock()
	defer templateOnce.Unlock()
	if templateName != "" {
		return templateName, nil
	}
	sum, err := hashOf(migrations.Files)
	if err != nil {
		return "", err
	}
	name := "migrated_" + sum
	admin, err := sql.Open("postgres", server)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	defer admin.Close()
	conn, err := admin.Conn(ctx) // an advisory lock belongs to its session
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext($1))`, name); err != nil {
		return "", fmt.Errorf("lock: %w", err)
	}
	var whole bool
	const look = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`
	if err := conn.QueryRowContext(ctx, look, name).Scan(&whole); err != nil {
		return "", fmt.Errorf("look for %s: %w", name, err)
	}
	if !whole {
		if err := makeTemplate(ctx, conn, server, name); err != nil {
			return "", err
		}
	}
	templateName = name
	return name, nil // closing the session releases the lock
}

var (
	templateOnce sync.Mutex
	templateName string
)

func makeTemplate(ctx context.Context, conn *sql.Conn, server, name string) error {
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name + " OWNER " + devstack.OwnerRole} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	if _, err := postgres.Migrate(ctx, postgres.Config{DSN: devstack.RoleDSN(in(server, name), devstack.OwnerRole)}, migrations.Files); err != nil {
		return err
	}
	// Nobody may connect: a template with a session cannot be cloned.
	for _, statement := range []string{
		"ALTER DATABASE " + name + " ALLOW_CONNECTIONS false",
		"ALTER DATABASE " + name + " IS_TEMPLATE true",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// administer runs one statement on a connection of its own: a pool that stays
// open would look like a leak to the tests.
func administer(ctx context.Context, server, statement string) error {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func in(server, database string) string {
	target, err := url.Parse(server)
	if err != nil {
		return server // it was connected to with this very string
	}
	target.Path = "/" + database
	return target.String()
}

func hashOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hash of the migrations: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
