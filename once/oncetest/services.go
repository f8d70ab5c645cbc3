// Package oncetest gives tests of the patterns, and of code that uses them, what they
// need of real services.
//
//	ONCE_TEST_POSTGRES  a server on which databases may be made
//	ONCE_TEST_AMQP      a RabbitMQ
//	ONCE_TEST_AMQP_API  its management plugin, which makes virtual hosts
//
// Without them a test that needs one fails and names the line that starts it; under
// -short it is skipped.
package oncetest

import (
	"context"
	"database/sql"
	"net/http"
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

const startBroker = `ONCE_TEST_AMQP or ONCE_TEST_AMQP_API is not set. Start a broker and say where it is:
  docker run -d -p 5672:5672 -p 15672:15672 rabbitmq:4-management
  export ONCE_TEST_AMQP=amqp://guest:guest@127.0.0.1:5672/ ONCE_TEST_AMQP_API=http://guest:guest@127.0.0.1:15672`

// Broker returns the AMQP URL of an empty virtual host that only this test uses. It ends
// with the test.
func Broker(t testing.TB) (address string) {
	t.Helper()
	return VirtualHost(t, service(t, "ONCE_TEST_AMQP", startBroker), service(t, "ONCE_TEST_AMQP_API", startBroker))
}

// VirtualHost is [Broker] on the broker at amqp, whose management plugin is at api.
func VirtualHost(t testing.TB, amqp, api string) (address string) {
	t.Helper()
	target, err := url.Parse(amqp)
	if err != nil {
		t.Fatal("oncetest: the broker's address is no URL")
	}
	name := "test-" + uuid.NewString()
	manage(t, http.MethodPut, api, name)
	t.Cleanup(func() { manage(t, http.MethodDelete, api, name) })
	target.Path, target.RawPath = "/"+name, ""
	return target.String()
}

func manage(t testing.TB, method, api, vhost string) {
	t.Helper()
	base, err := url.Parse(api)
	if err != nil {
		t.Fatal("oncetest: the address of the broker's management plugin is no URL")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base.JoinPath("api", "vhosts", vhost).String(), http.NoBody)
	if err != nil {
		t.Fatal("oncetest: ask the broker's management plugin: it is no URL")
	}
	request.Close = true // an idle connection would look like a leak to the tests
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("oncetest: ask the broker's management plugin: %v", err)
	}
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("oncetest: %s of virtual host %s: %s", method, vhost, response.Status)
	}
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
