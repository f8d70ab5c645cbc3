package idempotency_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/idempotency"
)

// losing is a database of which the answer to each COMMIT is lost. What is durable, and
// whether the key can be read afterwards, is the test's to say.
type losing struct {
	once.DB
	durable bool
	away    bool
	lost    bool
	hangUp  func() // the client's, which is what often cuts a COMMIT short
}

var errAway = errors.New("connection refused")

func (l *losing) InTx(ctx context.Context, fn func(tx once.Tx) error) error {
	undone := errors.New("rolled back")
	err := l.DB.InTx(ctx, func(tx once.Tx) error {
		if err := fn(tx); err != nil || l.durable {
			return err
		}
		return undone
	})
	if err != nil && !errors.Is(err, undone) {
		return err
	}
	l.lost = true
	l.hangUp()
	return once.ErrCommitUnknown
}

func (l *losing) Read(ctx context.Context, query string, args ...any) (once.Rows, error) {
	if l.lost && l.away {
		return nil, errAway
	}
	return l.DB.Read(ctx, query, args...)
}

// TestAfterALostCommitTheKeySaysWhatIsDurableAndASilentOneLeavesItUnknown runs both
// operations whose transaction is the store's.
func TestAfterALostCommitTheKeySaysWhatIsDurableAndASilentOneLeavesItUnknown(t *testing.T) {
	t.Parallel()
	operations := map[string]func(ctx context.Context, k *idempotency.Keys, r idempotency.Request) (idempotency.Outcome, error){
		"Do": func(ctx context.Context, k *idempotency.Keys, r idempotency.Request) (idempotency.Outcome, error) {
			return k.Do(ctx, r, func(once.Tx) (idempotency.Answer, string, error) { return text("mine"), "", nil })
		},
		"Store": func(ctx context.Context, k *idempotency.Keys, r idempotency.Request) (idempotency.Outcome, error) {
			return k.Store(ctx, r, text("mine"), "")
		},
	}
	for name, operation := range operations {
		for _, c := range []struct {
			name          string
			durable, away bool
			known         bool
		}{
			{"durable", true, false, true},
			{"not durable", false, false, false}, // or not yet
			{"it cannot be read", true, true, false},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				s := kinds["pq"](t)
				ctx, hangUp := context.WithCancel(t.Context())
				l := &losing{DB: s.DB, durable: c.durable, away: c.away, hangUp: hangUp}
				cfg := s.Config
				cfg.DB = l
				keys, err := idempotency.New(cfg)
				require.NoError(t, err)
				out, err := operation(ctx, keys, request("K"))
				if !c.known {
					require.ErrorIs(t, err, once.ErrCommitUnknown)
					require.NotErrorIs(t, err, errAway, "a caller would read there that nothing was done")
					return
				}
				require.NoError(t, err)
				require.Equal(t, "mine", string(out.Answer.Body))
				require.False(t, out.Replayed, "it is this delivery's own")
			})
		}
	}
}

func TestWhatTheEffectWaitsForIsNotTakenForATwin(t *testing.T) {
	t.Parallel()
	s := kinds["pq"](t)
	_, err := s.exec(`INSERT INTO effects (scope, toy) VALUES ('held', 'held')`)
	require.NoError(t, err)
	holding, release := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- s.DB.InTx(context.Background(), func(tx once.Tx) error {
			_, err := tx.Exec(context.Background(), `UPDATE effects SET toy = 'mine' WHERE scope = 'held'`)
			close(holding)
			<-release
			return err
		})
	}()
	<-holding
	_, err = s.Do(t.Context(), request("K"), func(tx once.Tx) (idempotency.Answer, string, error) {
		if _, err := tx.Exec(t.Context(), `SET LOCAL lock_timeout = '20ms'`); err != nil {
			return idempotency.Answer{}, "", err
		}
		_, err := tx.Exec(t.Context(), `UPDATE effects SET toy = 'theirs' WHERE scope = 'held'`)
		return text("never"), "", err
	})
	close(release)
	require.NoError(t, <-held)
	require.True(t, once.LockTimeout(err), "%v", err)
	require.NotErrorIs(t, err, idempotency.ErrInProgress)
}

func TestAConfigurationOrARequestThatWouldShareOrForgetKeysIsRefused(t *testing.T) {
	t.Parallel()
	s := kinds["pq"](t)
	for name, spoil := range map[string]func(*idempotency.Config){
		"no database":                  func(c *idempotency.Config) { c.DB = nil },
		"no lifetime":                  func(c *idempotency.Config) { c.TTL = 0 },
		"no lease":                     func(c *idempotency.Config) { c.Lease = 0 },
		"a lifetime that ends with it": func(c *idempotency.Config) { c.TTL = c.Lease },
		"no secret":                    func(c *idempotency.Config) { c.Secret = nil },
	} {
		cfg := s.Config
		spoil(&cfg)
		_, err := idempotency.New(cfg)
		require.Error(t, err, name)
	}
	for name, r := range map[string]idempotency.Request{
		"no key":   {Scope: "tenant", Operation: "POST /toys"},
		"no scope": {Key: "K", Operation: "POST /toys"},
	} {
		_, err := s.Do(t.Context(), r, nil)
		require.Error(t, err, name)
		_, err = s.Store(t.Context(), r, text(""), "")
		require.Error(t, err, name)
	}
	require.Panics(t, func() { idempotency.Table{Scope: `scope"; --`}.ClaimFrom("p") })
}

func TestARowThatALaterRequestMustNotTakeForItsOwnIsNamedByItsToken(t *testing.T) {
	t.Parallel()
	s := kinds["pgx"](t)
	r := request("K")
	require.NoError(t, s.claim(r, uuid.NewString()))
	other := r
	other.Fields = []idempotency.Field{{Pointer: "/a", Value: "1"}}
	_, err := s.Store(t.Context(), other, text("other"), "")
	var differs *idempotency.MismatchError
	require.ErrorAs(t, err, &differs, "another request under a running key is refused, not sent to wait")
	_, err = s.Store(t.Context(), r, text("other"), "")
	require.ErrorIs(t, err, idempotency.ErrInProgress)
}
