package devstack_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
)

func TestGivenServicesAreUsedAndNeverTouched(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	running := start(t, devstack.Options{Dir: dir, SkipRabbitMQ: true})

	given := start(t, devstack.Options{
		Dir: folder(t), PostgresDSN: running.PostgresDSN("postgres"), SkipRabbitMQ: true, Databases: []string{"another"},
	})
	if n := count(t, given.PostgresDSN("another"), `SELECT 1`); n != 1 {
		t.Errorf("want 1, got %d", n)
	}
	if err := given.Postgres.Kill(t.Context()); !errors.Is(err, devstack.ErrExternal) {
		t.Errorf("kill: want ErrExternal, got %v", err)
	}
	if err := given.Close(); err != nil {
		t.Fatal(err)
	}
	if running.Postgres.Pid() == 0 {
		t.Error("closing the stack ended a service that was only given to it")
	}
}

func TestAGivenPostgresMayHaveSeveralHostsInTheFormThatTheProgramsTake(t *testing.T) {
	t.Parallel()
	one, err := url.Parse(devtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := one.User.Password()
	database := one.Path[1:]
	given := func(dsn string) (*devstack.Stack, error) {
		return devstack.Start(t.Context(), devstack.Options{Dir: folder(t), PostgresDSN: dsn, SkipRabbitMQ: true, Databases: []string{database}})
	}
	stack, err := given(fmt.Sprintf("postgres://%s@/%s?host=127.0.0.1,%s&port=1,%s&sslmode=disable", one.User, database, one.Hostname(), one.Port()))
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, stack.PostgresDSN(database), `SELECT 1`); n != 1 {
		t.Errorf("want 1, got %d", n)
	}
	_, err = given(fmt.Sprintf("postgres://%s@127.0.0.1:1,%s/%s", one.User, one.Host, database))
	if err == nil || !strings.Contains(err.Error(), "?host=a,b&port=5432,5432") || strings.Contains(err.Error(), secret) {
		t.Errorf("it does not say which form works, or it says the password: %v", err)
	}
}

func TestOfSeveralGivenNodesOneThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	broker := devtest.Broker(t)
	away := "amqp://guest:guest@127.0.0.1:1/x"
	given := start(t, devstack.Options{Dir: folder(t), AMQPURL: away + "," + broker, SkipPostgres: true})
	if got, want := given.AMQPURL("/"), away+","+broker; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, node := range strings.Split(given.AMQPURL("other"), ",") {
		if !strings.HasSuffix(node, "/other") {
			t.Errorf("another virtual host of %s", node)
		}
	}
	if _, err := devstack.Start(t.Context(), devstack.Options{Dir: folder(t), AMQPURL: away, SkipPostgres: true}); err == nil {
		t.Error("no node answers, and the stack is there")
	}
}
