package call_test

import (
	"context"
	"fmt"

	"payonce/once"
	"payonce/once/call"
	"payonce/once/oncetest"
	oncepq "payonce/once/pq"
	"payonce/once/schema"
)

// The courier takes the pick-up and its answer is lost. The sweep asks by the key and
// finds it: one pick-up, one label.
func ExampleRunner() {
	dsn, _, end := oncetest.ForExample()
	defer end()
	ctx := context.Background()
	db, err := oncepq.Open(oncepq.Config{DSN: dsn})
	check(err)
	defer func() { _ = db.Close() }()
	_, err = schema.Apply(ctx, db, "shipping")
	check(err)

	pickUps := map[string]string{} // the courier's own books: a key, a pick-up
	books := call.Attempts{
		DB: db, Schema: "shipping", Kind: "pick-up",
		Ended: func(_ context.Context, _ once.Tx, r call.Record, o call.Outcome) error {
			fmt.Println("label for", r.Subject, "with", o.Ref) // written through the transaction, in a program
			return nil
		},
	}
	runner, err := call.New(call.Config[call.Record, call.Outcome]{
		Store: books,
		Outside: call.Outside[call.Record, call.Outcome]{
			Send: func(_ context.Context, r call.Record) (call.Outcome, error) {
				pickUps[r.Key] = "Tuesday"
				return call.Outcome{}, context.DeadlineExceeded // done, and not answered
			},
			Ask: func(_ context.Context, r call.Record) (call.Outcome, bool, error) {
				day, known := pickUps[r.Key]
				return call.Outcome{Status: call.Done, Ref: day}, known, nil
			},
		},
	})
	check(err)

	var attempt call.Record
	check(db.InTx(ctx, func(tx once.Tx) error { // with the change that wants the pick-up
		attempt, err = books.Begin(ctx, tx, call.Intent{Subject: "parcel 7", Lease: runner.Lease()})
		return err
	}))
	attempt, err = runner.Run(ctx, attempt)
	fmt.Println(attempt.Status, err)
	attempt, err = runner.Recover(ctx, attempt.ID) // as [call.Runner.Sweep] does by itself
	fmt.Println(attempt.Status, err, "pick-ups:", len(pickUps))
	// Output:
	// in_doubt <nil>
	// label for parcel 7 with Tuesday
	// done <nil> pick-ups: 1
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
