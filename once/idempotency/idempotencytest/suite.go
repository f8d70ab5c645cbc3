// Package idempotencytest judges keyed operations: one suite for every
// operation that claims to have one outcome per key, whichever shape it has.
package idempotencytest

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once/idempotency"
)

// Delivered is what one delivery came back with.
type Delivered struct {
	Status   int
	Body     string
	Replayed bool
	// Differs names the fields for which the delivery was refused as another
	// request under a used key; nil when it was not.
	Differs []string
	// Again says that a twin was still running: a client asks again.
	Again bool
	Err   error
}

// Of is what a delivery came back with when the operation answers with the package's own
// answer and errors.
func Of(a idempotency.Answer, replayed bool, err error) Delivered {
	d := Delivered{Status: a.Status, Body: string(a.Body), Replayed: replayed}
	var mismatch *idempotency.MismatchError
	if errors.As(err, &mismatch) {
		d.Differs = mismatch.Pointers
		return d
	}
	if d.Again = errors.Is(err, idempotency.ErrInProgress); !d.Again {
		d.Err = err
	}
	return d
}

// Operation is a keyed operation as its clients see it.
type Operation struct {
	// Deliver sends the operation's request for a tenant under a key. Another
	// variant is another request.
	Deliver func(tenant int, key string, variant int) Delivered
	// Expire ends the life of every answer that is stored now.
	Expire func()
	// Effects counts what the world saw of a tenant's operations.
	Effects func(tenant int) int
}

// Run judges the operation that open makes; open is called once for each
// claim, for a world in which nothing has happened yet.
func Run(t *testing.T, open func(t *testing.T) Operation) {
	t.Helper()
	for name, claim := range map[string]func(t *testing.T, op Operation){
		"twice in a row: one effect, the same bytes":          twice,
		"twenty at once: one effect, the same bytes":          twentyAtOnce,
		"another request under the key: refused, field named": anotherRequest,
		"another key: no stored answer of the first":          anotherKey,
		"another tenant: its own outcome":                     anotherTenant,
		"expired: judged anew at once, and that is stored":    afterItsLifetime,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim(t, open(t))
		})
	}
}

func twice(t *testing.T, op Operation) {
	first := op.Deliver(0, "K", 0)
	require.NoError(t, first.Err)
	require.False(t, first.Replayed)
	again := op.Deliver(0, "K", 0)
	require.NoError(t, again.Err)
	require.True(t, again.Replayed)
	require.Equal(t, first.Status, again.Status)
	require.Equal(t, first.Body, again.Body)
	require.Equal(t, 1, op.Effects(0))
}

func twentyAtOnce(t *testing.T, op Operation) {
	got := make([]Delivered, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			for got[i] = op.Deliver(0, "K", 0); got[i].Again; got[i] = op.Deliver(0, "K", 0) {
			}
		})
	}
	wg.Wait()
	replayed := 0
	for _, d := range got {
		require.NoError(t, d.Err)
		require.Equal(t, got[0].Body, d.Body)
		if d.Replayed {
			replayed++
		}
	}
	require.Equal(t, 19, replayed)
	require.Equal(t, 1, op.Effects(0))
}

func anotherRequest(t *testing.T, op Operation) {
	require.NoError(t, op.Deliver(0, "K", 0).Err)
	other := op.Deliver(0, "K", 1)
	require.NotEmpty(t, other.Differs)
	require.Equal(t, 1, op.Effects(0))
	again := op.Deliver(0, "K", 0)
	require.NoError(t, again.Err)
	require.True(t, again.Replayed, "the refusal did not harm the stored answer")
}

func anotherKey(t *testing.T, op Operation) {
	require.NoError(t, op.Deliver(0, "K1", 0).Err)
	other := op.Deliver(0, "K2", 0)
	require.NoError(t, other.Err)
	require.False(t, other.Replayed)
}

func afterItsLifetime(t *testing.T, op Operation) {
	require.NoError(t, op.Deliver(0, "K", 0).Err)
	op.Expire()
	anew := op.Deliver(0, "K", 0)
	require.NoError(t, anew.Err)
	require.False(t, anew.Again, "nothing runs")
	require.Empty(t, anew.Differs)
	require.False(t, anew.Replayed)
	again := op.Deliver(0, "K", 0)
	require.NoError(t, again.Err)
	require.True(t, again.Replayed)
	require.Equal(t, anew.Body, again.Body)
}

func anotherTenant(t *testing.T, op Operation) {
	mine := op.Deliver(0, "K", 0)
	theirs := op.Deliver(1, "K", 0)
	require.NoError(t, mine.Err)
	require.NoError(t, theirs.Err)
	require.False(t, theirs.Replayed)
	require.NotEqual(t, mine.Body, theirs.Body)
	require.Equal(t, 1, op.Effects(0))
	require.Equal(t, 1, op.Effects(1))
}
