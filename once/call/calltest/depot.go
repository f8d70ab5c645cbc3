package calltest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/call"
)

// depot is the program: a parcel is ready with its attempt, and gets one label with the
// pick-up.
type depot struct {
	t       *testing.T
	db      once.DB
	books   call.Attempts
	courier *courier
}

type config = call.Config[call.Record, call.Outcome]

func newDepot(t *testing.T, db once.DB, schema once.Schema) *depot {
	t.Helper()
	d := &depot{t: t, db: db, courier: newCourier()}
	d.books = call.Attempts{DB: db, Schema: schema, Kind: t.Name(), Ended: func(ctx context.Context, tx once.Tx, r call.Record, o call.Outcome) error {
		if o.Status != call.Done {
			return nil
		}
		_, err := tx.Exec(ctx, `INSERT INTO labels VALUES ($1, $2)`, r.Subject, o.Ref)
		return err
	}}
	return d
}

// runner is one process of the program; quick in everything that a test waits for.
func (d *depot) runner(with func(c *config)) *call.Runner[call.Record, call.Outcome] {
	d.t.Helper()
	c := config{
		Store: d.books, Outside: d.courier.outside(), Deadline: time.Second, Lease: 50 * time.Millisecond,
		Doubt: []time.Duration{10 * time.Millisecond},
	}
	if with != nil {
		with(&c)
	}
	r, err := call.New(c)
	require.NoError(d.t, err)
	return r
}

// beforeComplete does something when the outcome is about to be stored.
func beforeComplete(do func()) func(c *config) {
	return func(c *config) {
		c.Point = func(step string, _ call.Record) error {
			if step == call.BeforeComplete {
				do()
			}
			return nil
		}
	}
}

// ready makes a parcel and its attempt, in one transaction.
func (d *depot) ready(parcel string, lease time.Duration) (r call.Record, err error) {
	err = d.db.InTx(d.t.Context(), func(tx once.Tx) error {
		if _, err := tx.Exec(d.t.Context(), `INSERT INTO parcels VALUES ($1)`, parcel); err != nil {
			return err
		}
		r, err = d.books.Begin(d.t.Context(), tx, call.Intent{Subject: parcel, Request: []byte("to Ada"), Lease: lease})
		return err
	})
	return r, err
}

// sweep turns until the attempt has an end.
func (d *depot) sweep(r *call.Runner[call.Record, call.Outcome], id call.ID) (a call.Record) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		_, err := r.Turn(d.t.Context(), call.Sweep{})
		require.NoError(d.t, err)
		a, err = d.books.Read(d.t.Context(), id)
		require.NoError(d.t, err)
		return !a.Status.Open()
	}, 20*time.Second, 10*time.Millisecond, id)
	return a
}

func (d *depot) labels(parcel string) int {
	return d.count(`SELECT count(*) FROM labels WHERE parcel = $1`, parcel)
}

// once requires one effect outside, and one of each thing that follows from it.
func (d *depot) once(parcel string) {
	d.t.Helper()
	pickedUp, _ := d.courier.came(parcel)
	require.Equal(d.t, 1, pickedUp, "%s: pick-ups", parcel)
	require.Equal(d.t, 1, d.labels(parcel), "%s: labels", parcel)
	require.Equal(d.t, 1, d.count(d.books.Schema.In(`SELECT count(*) FROM {calls} WHERE subject = $1 AND status = 'done'`), parcel), parcel)
}

func (d *depot) troubles(kind once.TroubleKind) int {
	return d.count(d.books.Schema.In(`SELECT count(*) FROM {troubles} WHERE kind = $1 AND subject LIKE $2 || ':%' AND ended_at IS NULL`), kind.Name, d.books.Kind)
}

func (d *depot) count(query string, args ...any) (n int) {
	d.t.Helper()
	rows, err := d.db.Read(d.t.Context(), query, args...)
	_, err = once.One(rows, err, &n)
	require.NoError(d.t, err)
	return n
}

// died is how a process ends at a step, without another word.
type died struct{ step string }

// until runs f in a process that dies at a step, and says whether it came so far.
func until(step string, f func(point func(string, call.Record) error)) (dead bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, is := p.(died); !is {
				panic(fmt.Sprint(p))
			}
			dead = true
		}
	}()
	f(func(at string, _ call.Record) error {
		if at == step {
			panic(died{step})
		}
		return nil
	})
	return false
}
