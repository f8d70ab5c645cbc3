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
	"errors"
	"flag"
	"fmt"
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
  docker run -d -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:15 -c max_connections=600
  export ONCE_TEST_POSTGRES='postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable'`

// Postgres returns the address of an empty database that only this test uses. It ends
// with the test.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	dsn, end, err := database(service(t, "ONCE_TEST_POSTGRES", startPostgres), "template0")
	if err != nil {
		t.Fatal(err)
	}
	ends(t, end)
	return dsn
}

const startBroker = `ONCE_TEST_AMQP or ONCE_TEST_AMQP_API is not set. Start a broker and say where it is:
  docker run -d -p 5672:5672 -p 15672:15672 rabbitmq:3.13-management
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
	address, end, err := virtualHost(amqp, api)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, end)
	return address
}

// ForExample is [Postgres] and [Broker] for an Example, which is given no test. It calls
// end at its own end; without services it panics with the lines that start them. A package
// with such examples leaves them out under -short by [Main].
func ForExample() (dsn, amqp string, end func()) {
	for variable, start := range map[string]string{"ONCE_TEST_POSTGRES": startPostgres, "ONCE_TEST_AMQP": startBroker, "ONCE_TEST_AMQP_API": startBroker} {
		if given(variable) == "" {
			panic(start)
		}
	}
	dsn, drop, err := database(given("ONCE_TEST_POSTGRES"), "template0")
	if err != nil {
		panic(err)
	}
	amqp, remove, err := virtualHost(given("ONCE_TEST_AMQP"), given("ONCE_TEST_AMQP_API"))
	if err != nil {
		panic(errors.Join(err, drop()))
	}
	return dsn, amqp, func() {
		if err := errors.Join(remove(), drop()); err != nil {
			panic(err)
		}
	}
}

// Main runs the tests of a package; under -short, and without services, its examples that
// need them are left out.
func Main(m *testing.M) {
	flag.Parse()
	if testing.Short() && given("ONCE_TEST_POSTGRES") == "" {
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// ends has what a test was given end with it.
func ends(t testing.TB, end func() error) {
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func given(variable string) string { return strings.TrimSpace(os.Getenv(variable)) }

func service(t testing.TB, variable, start string) string {
	t.Helper()
	address := given(variable)
	switch {
	case address == "" && testing.Short():
		t.Skip(variable + " is not set")
	case address == "":
		t.Fatal(start)
	}
	return address
}

// database makes one on a server, as a copy of template.
func database(at, template string) (dsn string, end func() error, _ error) {
	server, err := url.Parse(at)
	if err != nil || server.Scheme == "" {
		return "", nil, errors.New("oncetest: ONCE_TEST_POSTGRES is no URL of a server")
	}
	name := "once_" + uuid.NewString()
	own := *server
	own.Path = "/" + name
	return own.String(), func() error {
		return maintain(at, `DROP DATABASE `+pq.QuoteIdentifier(name)+` WITH (FORCE)`)
	}, create(at, name, template)
}

// create copies files: through the log, which is the default of late, each page goes
// through memory and is written once more when any database is dropped.
func create(at, name, template string) error {
	statement := `CREATE DATABASE ` + pq.QuoteIdentifier(name) + ` TEMPLATE ` + pq.QuoteIdentifier(template)
	err := maintain(at, statement+` STRATEGY file_copy`)
	if said := new(pq.Error); errors.As(err, &said) && said.Code == "42601" {
		return maintain(at, statement) // before version 15 files are the only way
	}
	return err
}

func maintain(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := sql.Open("postgres", server)
	if err == nil {
		defer func() { _ = db.Close() }()
		_, err = db.ExecContext(ctx, statement)
	}
	if err != nil {
		return fmt.Errorf("oncetest: %s: %w", statement, err)
	}
	return nil
}

// virtualHost makes an empty one at a broker.
func virtualHost(amqp, api string) (address string, end func() error, _ error) {
	target, err := url.Parse(amqp)
	if err != nil {
		return "", nil, errors.New("oncetest: the broker's address is no URL")
	}
	name := "test-" + uuid.NewString()
	target.Path, target.RawPath = "/"+name, ""
	return target.String(), func() error { return manage(http.MethodDelete, api, name) }, manage(http.MethodPut, api, name)
}

func manage(method, api, vhost string) error {
	base, err := url.Parse(api)
	if err != nil {
		return errors.New("oncetest: the address of the broker's management plugin is no URL")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base.JoinPath("api", "vhosts", vhost).String(), http.NoBody)
	if err != nil {
		return errors.New("oncetest: ask the broker's management plugin: it is no URL")
	}
	request.Close = true // an idle connection would look like a leak to the tests
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("oncetest: ask the broker's management plugin: %w", err)
	}
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("oncetest: %s of virtual host %s: %s", method, vhost, response.Status)
	}
	return nil
}
