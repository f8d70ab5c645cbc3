package retry_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"

	"payonce/once"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	oncepgx "payonce/once/pgx"
	"payonce/once/retry"
	"payonce/once/retry/retrytest"
	"payonce/once/trouble"
)

func TestASchedulesMessagesComeBackAndItsDeadAreWrittenDown(t *testing.T) {
	t.Parallel()
	databases := maps.Clone(dbtest.Over)
	databases["pq with scopes that are uuids"] = func(t testing.TB, name once.Name) once.DB {
		db := dbtest.Pq(t, name)
		for _, table := range []string{"dead_letters", "dead_letter_decisions"} {
			dbtest.Exec(t, db, `ALTER TABLE `+string(name)+`.`+table+` ALTER COLUMN scope TYPE uuid USING scope::uuid`)
		}
		return db
	}
	for name, over := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			troubles := trouble.Table{Schema: "post"}
			retrytest.Run(t, retrytest.Subject{
				Schedule: retry.Schedule{50 * time.Millisecond, 300 * time.Millisecond}, Names: retry.NamesOf("post"),
				Table: retry.Table{Schema: "post"}, Troubles: troubles,
				Open: func(t testing.TB, db once.DB) int {
					open, err := troubles.List(t.Context(), db, 1000)
					if err != nil {
						t.Fatal(err)
					}
					return len(open)
				},
				Postgres: func(t testing.TB) once.DB { return over(t, "post") }, Broker: oncetest.Broker,
			})
		})
	}
}

func TestEachErrorHasOneClassThroughAnyWrapping(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	overPq, overPgx := dbtest.OpenPq(t, "postgres://nowhere.invalid/"), oncepgx.New(nil)
	for want, errs := range map[retry.Class][]error{
		retry.ClassDone:   {fmt.Errorf("outer: %w", retry.Done(plain))},
		retry.ClassPoison: {retry.Poison(plain), retry.Poison(retry.Transient(plain))},
		retry.ClassPermanent: {
			retry.Permanent(plain),
			fmt.Errorf("outer: %w", retry.Permanent(plain)),
			retry.Permanent(retry.Transient(plain)), // the outermost mark decides
			retry.Refused(overPq, &pq.Error{Code: "23505", Constraint: "things_once"}),
			retry.Refused(overPgx, &pgconn.PgError{Code: "23505", ConstraintName: "things_once"}),
		},
		retry.ClassTransient: {
			plain,
			retry.Refused(overPq, &pq.Error{Code: "23514"}), // no partition: one may come
			retry.Refused(overPq, retry.Transient(&pq.Error{Code: "23505", Constraint: "things_once"})),
			retry.Transient(&pq.Error{Code: "23505", Constraint: "things_once"}),
			&pq.Error{Code: "40P01"},
			&pq.Error{Code: "55P03"},
		},
		retry.ClassAmbiguous: {
			retry.Ambiguous(plain),
			fmt.Errorf("outer: %w", once.ErrCommitUnknown),
		},
	} {
		for _, err := range errs {
			if got := retry.ClassOf(err); got != want {
				t.Errorf("%v is %s, not %s", err, got, want)
			}
		}
	}
	if retry.Permanent(nil) != nil || retry.Transient(nil) != nil || retry.Ambiguous(nil) != nil {
		t.Error("marking nil made an error")
	}
	if !errors.Is(retry.Permanent(plain), plain) {
		t.Error("a mark hides its cause")
	}
}

func TestTheTwoSchedulesAndTheirQueueNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"production": {"post.retry.1s", "post.retry.5s", "post.retry.30s", "post.retry.120s", "post.retry.600s"},
		"demo":       {"post.retry.0.2s", "post.retry.1s", "post.retry.3s", "post.retry.5s", "post.retry.10s"},
	} {
		schedule, err := retry.ScheduleNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range schedule {
			if got := retry.NamesOf("post").Exchange(d); got != want[i] {
				t.Errorf("%s, delay %s: %s, not %s", name, d, got, want[i])
			}
		}
	}
	if _, err := retry.ScheduleNamed("never"); err == nil {
		t.Error("a schedule called never exists")
	}
}

func TestEachClassHasOneFateAndAnUnknownOneIsTriedAgain(t *testing.T) {
	t.Parallel()
	want := map[retry.Class]retry.Fate{
		retry.ClassDone: retry.Absorb, retry.ClassPermanent: retry.Person, retry.ClassPoison: retry.Person,
		retry.ClassTransient: retry.Again, retry.ClassAmbiguous: retry.Again, "of a stranger": retry.Again,
	}
	for class, fate := range want {
		if got := class.Fate(); got != fate {
			t.Errorf("%s: %v, not %v", class, got, fate)
		}
	}
	if len(want) != len(retry.Classes)+1 {
		t.Errorf("%d classes, %d judged", len(retry.Classes), len(want)-1)
	}
}
