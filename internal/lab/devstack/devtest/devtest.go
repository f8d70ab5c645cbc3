// Package devtest gives each test a database and a virtual host of its own, on
// real services.
//
// Tests that share a database wait for each other or break each other; tests
// against fakes prove that the fakes work. Here a test gets a fresh database,
// cloned from a migrated template within some 100 ms, and an empty virtual host
// of RabbitMQ, made in about half of that. Both are thrown away when the test
// ends, so tests run in parallel and leave nothing to the next.
//
// The services come from PAYONCE_TEST_POSTGRES_DSN, PAYONCE_TEST_AMQP_URL and
// PAYONCE_TEST_BROKER_API, which `make test` sets once for all packages (see
// cmd/withstack). Without them each test binary starts private ones, Postgres
// in about two seconds and RabbitMQ in about seven, each only when the first
// test asks for it. They end with the binary, also when it panics or is killed.
//
// A RabbitMQ of your own needs its management plugin:
// PAYONCE_TEST_BROKER_API=http://guest:guest@127.0.0.1:15672.
package devtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
	"payonce/once/oncetest"
)

// Postgres returns a pool on a migrated database that only this test uses.
func Postgres(t testing.TB) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: DSN(t), AppName: t.Name()})
	if err != nil {
		t.Fatalf("devtest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("devtest: close: %v", err)
		}
	})
	return db
}

// DSN returns the address of a migrated database that only this test uses, as an
// administrator: a test looks everywhere and breaks everything. Its owner migrated it;
// [devstack.RoleDSN] leads to it as a role of the shop.
func DSN(t testing.TB) string {
	t.Helper()
	server := postgresServer(t)
	template, err := migratedTemplate(t.Context(), server)
	if err != nil {
		t.Fatalf("devtest: template: %v", err)
	}
	return database(t, server, template)
}

// EmptyDSN returns the address of a database without any table.
func EmptyDSN(t testing.TB) string {
	t.Helper()
	return database(t, postgresServer(t), "template1")
}

// Broker returns the AMQP URL of an empty virtual host that only this test uses.
func Broker(t testing.TB) string {
	t.Helper()
	broker, err := brokerServer()
	if err != nil {
		t.Fatalf("devtest: rabbitmq: %v", err)
	}
	return oncetest.VirtualHost(t, broker.amqp, broker.api)
}

// Must returns what was made, and panics when it could not be.
func Must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

// startLimit bounds the start of a private service on a busy machine.
const startLimit = 3 * time.Minute

func postgresServer(t testing.TB) string {
	t.Helper()
	dsn, err := privatePostgres()
	if err != nil {
		t.Fatalf("devtest: postgres: %v", err)
	}
	return dsn
}

var privatePostgres = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if given := os.Getenv(devstack.TestPostgresDSN); given != "" {
		return given, devstack.EnsureRoles(ctx, given)
	}
	stack, err := devstack.StartScratch(ctx, devstack.Options{SkipRabbitMQ: true, Progress: note})
	if err != nil {
		return "", err
	}
	return stack.PostgresDSN("postgres"), nil // never closed: it ends with this process
})

// broker is a RabbitMQ and the API that makes its virtual hosts.
type broker struct{ amqp, api string }

var brokerServer = sync.OnceValues(func() (broker, error) {
	amqp, api := os.Getenv(devstack.TestAMQPURL), os.Getenv(devstack.TestBrokerAPI)
	if amqp == "" {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		stack, err := devstack.StartScratch(ctx, devstack.Options{SkipPostgres: true, BrokerAPI: true, Progress: note})
		if err != nil {
			return broker{}, err
		}
		amqp, api = stack.AMQPURL("/"), stack.BrokerAPI() // never closed: it ends with this process
	}
	if api == "" {
		return broker{}, fmt.Errorf("%s needs %s, the URL of the management plugin", devstack.TestAMQPURL, devstack.TestBrokerAPI)
	}
	return broker{amqp, api}, nil
})

// note tells what takes so long; go test shows it with -v or after a failure.
func note(line string) { fmt.Fprintln(os.Stderr, "devtest: "+line) }

// short makes a test's name fit into a database's.
func short(name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, strings.TrimPrefix(name, "Test"))
	return clean[:min(len(clean), 40)]
}
