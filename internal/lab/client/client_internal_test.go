package client

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/wire"
)

func TestPausesDoubleFrom300msTo5sAndRetryAfterWinsWhenItIsLonger(t *testing.T) {
	t.Parallel()
	for again, want := range map[int]time.Duration{1: 300 * time.Millisecond, 2: 600 * time.Millisecond, 5: 4800 * time.Millisecond, 6: 5 * time.Second, 100: 5 * time.Second} {
		require.Equal(t, want, pause(again, ErrSilence), "request %d", again)
	}
	after := func(seconds string) error { return &Refusal{Header: http.Header{"Retry-After": {seconds}}} }
	require.Equal(t, 7*time.Second, pause(1, after("7")))
	require.Equal(t, 5*time.Second, pause(9, after("1")))
	require.Equal(t, 300*time.Millisecond, pause(1, after("-1")))
	require.Equal(t, 300*time.Millisecond, pause(1, after("soon")))
}

func TestOnlyWhatStoredNoAnswerIsAskedAgainWithItsKey(t *testing.T) {
	t.Parallel()
	refused := func(kind wire.Kind) error { return &Refusal{Problem: kind.Document("/", "")} }
	for _, kind := range wire.Kinds {
		again := kind.Status >= 500 || kind.Status == 429 || kind.Slug == "idempotency-key-in-progress"
		require.Equal(t, again, mayAskAgain(refused(kind)), kind.Slug)
	}
	require.True(t, mayAskAgain(fmt.Errorf("%w: reset", ErrSilence)))
	require.False(t, mayAskAgain(fmt.Errorf("something of our own")))
}

func TestOfTheLast10000EventsNoneIsToldTwice(t *testing.T) {
	t.Parallel()
	s := seen{ids: map[string]bool{}}
	const all = 3 * remembered
	for i := range all {
		require.True(t, s.first(fmt.Sprint(i)))
		require.False(t, s.first(fmt.Sprint(max(0, i-remembered/2+1))))
	}
	require.LessOrEqual(t, len(s.ids), remembered)
	require.Len(t, s.order, len(s.ids))
}
