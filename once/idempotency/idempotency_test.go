package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/idempotency/idempotencytest"
)

func rowOf(r idempotency.Request, secret []byte) idempotency.Row {
	f := r.Fingerprint(secret)
	macs, err := json.Marshal(f.MACs)
	if err != nil {
		panic(err)
	}
	return idempotency.Row{Operation: r.Operation, RequestHash: f.Hash, FieldMACs: macs}
}

// toy is an operation whose effect is a row of the program's own.
func toy(s store) idempotencytest.Operation {
	tenants := []string{uuid.NewString(), uuid.NewString()}
	return idempotencytest.Operation{
		Deliver: func(tenant int, key string, variant int) idempotencytest.Delivered {
			r := idempotency.Request{
				Scope: tenants[tenant], Key: key, Operation: "POST /toys",
				Fields: []idempotency.Field{{Pointer: "/variant", Value: strings.Repeat("x", variant)}},
			}
			out, err := s.Do(context.Background(), r, func(tx once.Tx) (idempotency.Answer, string, error) {
				id := uuid.NewString()
				if _, err := tx.Exec(context.Background(), `INSERT INTO effects (scope, toy) VALUES ($1, $2)`, tenants[tenant], id); err != nil {
					return idempotency.Answer{}, "", err
				}
				return idempotency.Answer{Status: 201, ContentType: "text/plain", Location: "/toys/1", Body: []byte(id)}, id, nil
			})
			return idempotencytest.Of(out.Answer, out.Replayed, err)
		},
		Expire: func() {
			_, err := s.exec(`UPDATE {idempotency_keys} SET expires_at = clock_timestamp()`)
			require.NoError(s.t, err)
		},
		Effects: func(tenant int) (n int) {
			s.read(&n, `SELECT count(*) FROM effects WHERE scope = $1`, tenants[tenant])
			return n
		},
	}
}

func TestDoIsOneOutcomePerKey(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idempotencytest.Run(t, func(t *testing.T) idempotencytest.Operation { return toy(kind(t)) })
		})
	}
}

func TestAnErrorInTheEffectLeavesNothingNotEvenTheKey(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s store) {
		r, mine := request("K"), errors.New("mine")
		_, err := s.Do(t.Context(), r, func(once.Tx) (idempotency.Answer, string, error) { return idempotency.Answer{}, "", mine })
		require.ErrorIs(t, err, mine)
		_, found, err := s.Lookup(t.Context(), r.Scope, r.Key)
		require.NoError(t, err)
		require.False(t, found)
	})
}

// TestAnEffectOutsideIsClaimedOnceAndItsTryIsFoundUnderItsKey goes the way of an effect
// outside: the claim stands alone, another one fails, and the answer is stored for the try.
func TestAnEffectOutsideIsClaimedOnceAndItsTryIsFoundUnderItsKey(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s store) {
		r, try := request("K"), uuid.NewString()
		require.NoError(t, s.claim(r, try))
		require.True(t, s.Taken(s.claim(r, uuid.NewString())))
		row, found, err := s.Lookup(t.Context(), r.Scope, r.Key)
		require.NoError(t, err)
		require.True(t, found && !row.Completed() && row.Leased)
		require.Equal(t, try, row.Subject)
		require.Equal(t, 1, row.SubjectNo)
		require.EqualValues(t, 1, s.complete(try, text("done")))
		require.Zero(t, s.complete(try, text("done again")))
		out, err := s.Do(t.Context(), r, nil)
		require.NoError(t, err)
		require.True(t, out.Replayed)
		require.Equal(t, "done", string(out.Answer.Body))
	})
}

func TestStoredBytesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	s := kinds["pgx"](t)
	rapid.Check(t, func(rt *rapid.T) {
		want := idempotency.Answer{
			Status: rapid.IntRange(200, 499).Draw(rt, "status"), ContentType: rapid.StringMatching(`[a-z]+/[a-z]+`).Draw(rt, "type"),
			Location: rapid.StringMatching(`(/[a-z0-9_]+)*`).Draw(rt, "location"), Matched: rapid.SampledFrom([]string{"", "business-key"}).Draw(rt, "matched"),
			Body: rapid.SliceOf(rapid.Byte()).Draw(rt, "body"),
		}
		r := request("K")
		first, err := s.Store(context.Background(), r, want, "")
		if err != nil || first.Replayed {
			rt.Fatalf("store: %v, replayed %v", err, first.Replayed)
		}
		again, err := s.Store(context.Background(), r, idempotency.Answer{Status: 500, Body: []byte("other")}, "")
		if err != nil || !again.Replayed || string(again.Answer.Body) != string(want.Body) || again.Answer.Status != want.Status ||
			again.Answer.Location != want.Location || again.Answer.ContentType != want.ContentType || again.Answer.Matched != want.Matched {
			rt.Fatalf("stored %+v, got %+v (%v)", want, again.Answer, err)
		}
	})
}

func TestOneRequestHasOneHashAndEveryOtherRequestAnother(t *testing.T) {
	t.Parallel()
	field := rapid.Custom(func(rt *rapid.T) idempotency.Field {
		return idempotency.Field{Pointer: rapid.StringMatching(`/[a-c]`).Draw(rt, "pointer"), Value: rapid.StringN(0, 3, 6).Draw(rt, "value")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		fields := rapid.SliceOfNDistinct(field, 1, 3, func(f idempotency.Field) string { return f.Pointer }).Draw(rt, "fields")
		r := request("K")
		r.Fields = fields
		turned := r
		turned.Fields = rapid.Permutation(fields).Draw(rt, "turned")
		if err := rowOf(r, nil).Match(turned, turned.Fingerprint(nil)); err != nil {
			rt.Fatalf("the order of fields mattered: %v", err)
		}
		other := r
		other.Fields = append([]idempotency.Field(nil), fields...)
		i := rapid.IntRange(0, len(fields)-1).Draw(rt, "i")
		other.Fields[i].Value += "x"
		var mismatch *idempotency.MismatchError
		if err := rowOf(r, nil).Match(other, other.Fingerprint(nil)); !errors.As(err, &mismatch) || len(mismatch.Pointers) != 1 || mismatch.Pointers[0] != fields[i].Pointer {
			rt.Fatalf("changed %s, got %v", fields[i].Pointer, err)
		}
	})
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 255)
	for name, c := range map[string]struct {
		values []string
		want   string
		err    error
	}{
		"missing":                       {nil, "", idempotency.ErrKeyMissing},
		"empty":                         {[]string{""}, "", idempotency.ErrKeyMissing},
		"blank":                         {[]string{"  "}, "", idempotency.ErrKeyMissing},
		"quoted and empty":              {[]string{`""`}, "", idempotency.ErrKeyMissing},
		"bare":                          {[]string{"abc"}, "abc", nil},
		"quoted names the same key":     {[]string{`"abc"`}, "abc", nil},
		"escaped quote":                 {[]string{`"a\"b"`}, `a"b`, nil},
		"sent twice":                    {[]string{"a", "a"}, "", idempotency.ErrKeyInvalid},
		"255 bytes":                     {[]string{long}, long, nil},
		"256 bytes":                     {[]string{long + "k"}, "", idempotency.ErrKeyInvalid},
		"255 bytes count after unquote": {[]string{`"` + long + `"`}, long, nil},
		"a blank inside":                {[]string{"a b"}, "", idempotency.ErrKeyInvalid},
		"a blank inside quotes":         {[]string{`"a b"`}, "", idempotency.ErrKeyInvalid},
		"outside ASCII":                 {[]string{"schlüssel"}, "", idempotency.ErrKeyInvalid},
		"a control character":           {[]string{"a\x01"}, "", idempotency.ErrKeyInvalid},
		"a quote elsewhere":             {[]string{`a"b`}, "", idempotency.ErrKeyInvalid},
		"unclosed quote":                {[]string{`"abc`}, "", idempotency.ErrKeyInvalid},
		"only a quote":                  {[]string{`"`}, "", idempotency.ErrKeyInvalid},
		"parameters":                    {[]string{`"abc";v=1`}, "", idempotency.ErrKeyInvalid},
		"escaped other":                 {[]string{`"a\b"`}, "", idempotency.ErrKeyInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := idempotency.ParseKey(c.values)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
		})
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"abc", `"abc"`, `"a\"b"`, `"`, "a b", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, err := idempotency.ParseKey([]string{value})
		if err != nil {
			return
		}
		if len(key) == 0 || len(key) > idempotency.MaxKeyLength {
			t.Fatalf("accepted a key of %d bytes", len(key))
		}
		for i := range len(key) {
			if key[i] < 0x21 || key[i] > 0x7E {
				t.Fatalf("accepted byte %#x", key[i])
			}
		}
	})
}

func TestWaitersHoldNothingAndWakeWhenTheRunLands(t *testing.T) {
	t.Parallel()
	flights := idempotency.Flights{Poll: time.Hour}
	id := uuid.NewString()
	polled := make(chan struct{}, 10)
	never := func(context.Context) (bool, error) { polled <- struct{}{}; return false, nil }
	done := make(chan error, 5)
	for range 5 {
		go func() { done <- flights.Wait(t.Context(), id, never) }()
	}
	<-polled
	require.Eventually(t, func() bool {
		flights.Landed(id)
		return len(done) == 5
	}, 20*time.Second, time.Millisecond)
	for range 5 {
		require.NoError(t, <-done)
	}
}

func TestARunElsewhereIsNoticedByOnePollForAll(t *testing.T) {
	t.Parallel()
	flights := idempotency.Flights{Poll: time.Millisecond}
	asked := 0
	over := func(context.Context) (bool, error) { asked++; return asked == 20, nil } // unsynchronised on purpose: only one may ask
	done := make(chan error, 5)
	id := uuid.NewString()
	for range 5 {
		go func() { done <- flights.Wait(t.Context(), id, over) }()
	}
	for range 5 {
		require.NoError(t, <-done)
	}
	require.GreaterOrEqual(t, asked, 20)
}

func TestAWaiterLeavesWhenItsPatienceEnds(t *testing.T) {
	t.Parallel()
	var flights idempotency.Flights
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, flights.Wait(ctx, uuid.NewString(), func(context.Context) (bool, error) { return false, nil }), context.DeadlineExceeded)
}
