package devtest

import (
	"testing"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

// ConsumerOf is a consumer of the shop as inboxtest judges it, on the shop's tables and
// under the shop's names.
func ConsumerOf(c inbox.Config) inboxtest.Consumer {
	c = patterns.Consumer(c, nil)
	return inboxtest.Consumer{
		Name: c.Consumer, Types: c.Types, Handler: c.Handler, Around: c.Around, Table: c.Table, Places: c.Places, Troubles: c.Troubles,
		Postgres: Once, Broker: Broker,
	}
}

// SampleOf is a sample whose functions read the shop's database; want is 1 when it is 0.
func SampleOf(fresh func(testing.TB, *postgres.DB) inbox.Message, effects func(testing.TB, *postgres.DB, inbox.Message) int, want int) inboxtest.Sample {
	return inboxtest.Sample{
		New:     func(t testing.TB, db once.DB) inbox.Message { return fresh(t, postgres.Of(db)) },
		Effects: func(t testing.TB, db once.DB, m inbox.Message) int { return effects(t, postgres.Of(db), m) },
		Want:    want,
	}
}

// Once is [Postgres] as the patterns take it.
func Once(t testing.TB) once.DB {
	t.Helper()
	return Postgres(t).Once()
}
