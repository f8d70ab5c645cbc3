package devtest

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/saga/sagatest"
)

// ConsumerOf is a consumer of the shop as inboxtest judges it, on the shop's tables and
// under the shop's names.
func ConsumerOf(c inbox.Config) inboxtest.Consumer {
	c = patterns.Consumer(c, nil)
	return inboxtest.Consumer{
		Name: c.Consumer, Types: c.Types, Handler: c.Handler, Around: c.Around, Table: c.Table, Names: c.Names, Troubles: c.Troubles,
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

// Step is a participant's step, with functions that read the shop's database; see
// sagatest.Sample.
type Step struct {
	Do, Undo     string
	New, Refused func(t testing.TB, db *postgres.DB) (scope, correlation uuid.UUID, data any)
	Effects      func(t testing.TB, db *postgres.DB, correlation uuid.UUID, data json.RawMessage) int
}

// Sample is the step as the suite takes it.
func (s Step) Sample() sagatest.Sample {
	with := func(make func(testing.TB, *postgres.DB) (uuid.UUID, uuid.UUID, any)) func(testing.TB, once.DB) (string, string, any) {
		if make == nil {
			return nil
		}
		return func(t testing.TB, db once.DB) (string, string, any) {
			t.Helper()
			scope, correlation, data := make(t, postgres.Of(db))
			return scope.String(), correlation.String(), data
		}
	}
	return sagatest.Sample{
		Do: s.Do, Undo: s.Undo, New: with(s.New), Refused: with(s.Refused), Postgres: Once,
		Effects: func(t testing.TB, db once.DB, correlation string, data json.RawMessage) int {
			t.Helper()
			return s.Effects(t, postgres.Of(db), patterns.ID(correlation), data)
		},
	}
}
