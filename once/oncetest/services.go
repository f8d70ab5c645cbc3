// Package oncetest gives tests of the patterns, and of code that uses them, what they
// need of real services.
//
//	ONCE_TEST_POSTGRES  a server on which databases may be made
//	ONCE_TEST_AMQP      a RabbitMQ
//
// Without them a test that needs one fails and names the line that starts it; under
// -short it is skipped.
package oncetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

const startPostgres = `ONCE_TEST_POSTGRES is not set. Start a server and say where it is:
  docker run -d -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17
  export ONCE_TEST_POSTGRES='postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable'`

// Postgres returns the address of an empty database that only this test uses. It ends
// with the test.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	server, err := url.Parse(service(t, "ONCE_TEST_POSTGRES", startPostgres))
	if err != nil || server.Scheme == "" {
		t.Fatal("oncetest: ONCE_TEST_POSTGRES is no URL of a server")
	}
	name := "once_" + uuid.NewString()
	maintain(t, server.String(), `CREATE DATABASE `+pq.QuoteIdentifier(name)+` TEMPLATE template0`)
	t.Cleanup(func() {
		maintain(t, server.String(), `DROP DATABASE `+pq.QuoteIdentifier(name)+` WITH (FORCE)`)
	})
	own := *server
	own.Path = "/" + name
	return own.String()
}

func service(t testing.TB, variable, start string) string {
	t.Helper()
	given := strings.TrimSpace(os.Getenv(variable))
	switch {
	case given == "" && testing.Short():
		t.Skip(variable + " is not set")
	case given == "":
		t.Fatal(start)
	}
	return given
}

func maintain(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := sql.Open("postgres", server)
	if err == nil {
		defer func() { _ = db.Close() }()
		_, err = db.ExecContext(ctx, statement)
	}
	if err != nil {
		t.Fatalf("oncetest: %s: %v", statement, err)
	}
}
