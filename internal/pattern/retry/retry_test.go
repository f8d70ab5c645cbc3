package retry_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/retry"
	"payonce/internal/pattern/retry/retrytest"
	"payonce/once"
)

func TestASchedulesMessagesComeBackAndItsDeadAreWrittenDown(t *testing.T) {
	t.Parallel()
	retrytest.Run(t, retrytest.Subject{
		Schedule: retry.Schedule{50 * time.Millisecond, 300 * time.Millisecond},
		Postgres: devtest.Postgres, Broker: devtest.Broker,
	})
}

func TestEachErrorHasOneClassThroughAnyWrapping(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	for want, errs := range map[retry.Class][]error{
		retry.ClassDone:   {fmt.Errorf("outer: %w", retry.Done(plain))},
		retry.ClassPoison: {retry.Poison(plain), retry.Poison(retry.Transient(plain))},
		retry.ClassPermanent: {
			retry.Permanent(plain),
			fmt.Errorf("outer: %w", retry.Permanent(plain)),
			retry.Permanent(retry.Transient(plain)), // the outermost mark decides
			&pq.Error{Code: "23505", Constraint: "things_once"},
		},
		retry.ClassTransient: {
			plain,
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

func TestTheHousesTwoSchedulesAndTheirQueueNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"production": {"payonce.retry.1s", "payonce.retry.5s", "payonce.retry.30s", "payonce.retry.120s", "payonce.retry.600s"},
		"demo":       {"payonce.retry.0.2s", "payonce.retry.1s", "payonce.retry.3s", "payonce.retry.5s", "payonce.retry.10s"},
	} {
		schedule, err := retry.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range schedule {
			if got := retry.ExchangeFor(d); got != want[i] {
				t.Errorf("%s, delay %s: %s, not %s", name, d, got, want[i])
			}
		}
	}
	if _, err := retry.Named("never"); err == nil {
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
