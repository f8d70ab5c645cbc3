package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

const (
	insertMerchant = `INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`
	countMerchants = `SELECT count(*) FROM merchants`
)

func merchants(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, countMerchants))
	return n
}

func insert(ctx context.Context, tx postgres.Tx) error {
	id := uuid.New()
	_, err := tx.Exec(ctx, insertMerchant, id, id[:])
	return err
}

func TestNilMeansCommittedAndAnErrorLeavesNothing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return insert(t.Context(), tx) }))
	require.Equal(t, 1, merchants(t, db))
	mine := errors.New("mine")
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if err := insert(t.Context(), tx); err != nil {
			return err
		}
		return mine
	})
	require.ErrorIs(t, err, mine)
	require.Equal(t, 1, merchants(t, db))
}

func TestAPanicRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			if err := insert(t.Context(), tx); err != nil {
				return err
			}
			panic("boom")
		})
	})
	require.Equal(t, 0, merchants(t, db))
}

func TestAPoolOfOneIsEnough(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), PoolSize: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 3 {
		require.NoError(t, postgres.InTx(ctx, db, func(tx postgres.Tx) error {
			var n int
			if err := tx.Get(ctx, &n, countMerchants); err != nil {
				return err
			}
			return insert(ctx, tx)
		}))
	}
	require.Equal(t, 3, merchants(t, db))
}

func TestAReadRefusesAStatementThatWrites(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for _, query := range []string{
		`INSERT INTO merchants (id, api_key_hash) VALUES (gen_random_uuid(), '') RETURNING 1`,
		`WITH d AS (DELETE FROM merchants RETURNING 1) SELECT count(*) FROM d`,
		"UPDATE merchants SET created_at = now() RETURNING 1",
		"SELECT 1 FROM merchants FOR UPDATE",
		"SELECT pg_notify('a', 'b')",
	} {
		var n int
		require.ErrorIs(t, db.Get(t.Context(), &n, query), postgres.ErrWriteOutsideTx, query)
	}
	var n int
	require.NoError(t, db.Get(t.Context(), &n, "SELECT 1 -- does not UPDATE anything, whatever DELETE FROM says"))
}

func TestTwoTransactionsThatDeadlockBothCommit(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	a, b := uuid.New(), uuid.New()
	for _, id := range []uuid.UUID{a, b} {
		require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), insertMerchant, id, id[:])
			return err
		}))
	}
	const touch = `UPDATE merchants SET created_at = created_at + interval '1 second' WHERE id = $1`
	met := make(chan struct{})
	var first atomic.Int32
	cross := func(one, other uuid.UUID) error {
		return postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			if _, err := tx.Exec(t.Context(), touch, one); err != nil {
				return err
			}
			if first.Add(1) == 2 {
				close(met)
			}
			<-met
			_, err := tx.Exec(t.Context(), touch, other)
			return err
		})
	}
	errs := make(chan error, 2)
	go func() { errs <- cross(a, b) }()
	go func() { errs <- cross(b, a) }()
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	require.Greater(t, first.Load(), int32(2), "one of them ran again")
}

func TestALostCommitReplyIsUnknownNotFailed(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	direct, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = direct.Close() })
	var cut atomic.Bool
	proxied := throughProxy(t, dsn, func(said []byte) []byte {
		if cut.Load() {
			return nil
		}
		return said
	})
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: proxied, PoolSize: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	err = postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if err := insert(t.Context(), tx); err != nil {
			return err
		}
		cut.Store(true) // the next reply, COMMIT's, is lost on its way
		return nil
	})
	require.ErrorIs(t, err, postgres.ErrCommitUnknown)
	require.Eventually(t, func() bool { return merchants(t, direct) == 1 }, 20*time.Second, 10*time.Millisecond, "and the truth was: committed")
}

// ending is a context that ends while the commit is under way, when its driver can
// still be answered: so does the deadline of a commit that waits for a standby.
type ending struct {
	context.Context
	over atomic.Bool
}

func (e *ending) Err() error {
	if e.over.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

func TestACommitWhoseWaitWasCutShortIsUnknownAndNotDone(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	ctx := &ending{Context: context.WithoutCancel(t.Context())}
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if err := insert(t.Context(), tx); err != nil {
			return err
		}
		ctx.over.Store(true)
		return nil
	})
	require.ErrorIs(t, err, postgres.ErrCommitUnknown)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "which would say that it was rolled back")
	require.Equal(t, 1, merchants(t, db), "and the truth was: committed")
}

// throughProxy forwards a database's port. It passes on what the client says, and of
// each answer what it is made into; of nothing, it breaks the connection instead.
func throughProxy(t *testing.T, dsn string, answer func(said []byte) []byte) (proxied string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	host := u.Host
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, host, answer)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

func relay(client net.Conn, host string, answer func(said []byte) []byte) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).Dial("tcp", host)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, client) }()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		said := answer(buf[:n])
		if said == nil {
			return
		}
		if _, err := client.Write(said); err != nil {
			return
		}
	}
}

func TestTwoProcessesMigrateAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := postgres.Migrate(context.Background(), postgres.Config{DSN: dsn}, migrations.Files)
			errs <- err
		}()
	}
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	n, err := postgres.Migrate(t.Context(), postgres.Config{DSN: dsn}, migrations.Files)
	require.NoError(t, err)
	require.Zero(t, n)
	current, newest, err := postgres.SchemaVersion(t.Context(), postgres.Config{DSN: dsn}, migrations.Files)
	require.NoError(t, err)
	require.Equal(t, newest, current)
}

func TestABrokenDSNIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{DSN: "postgres://u:s3cret@host:notaport/db"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

// lib/pq takes the list for the name of one host, and says so at the first query.
func TestAListOfHostsIsRefusedWithTheFormThatWorks(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{DSN: "postgres://u:s3cret@a:5432,b:5432/db"})
	require.ErrorContains(t, err, "/database?host=a,b&port=5432,5432&target_session_attrs=read-write")
	require.NotContains(t, err.Error(), "s3cret")
	for _, dsn := range []string{
		"postgres://u:s,cret@a/db", "postgres://u@/db?host=a,b&port=1,2&target_session_attrs=read-write", "host=a,b port=1,2 user=u dbname=db",
	} {
		_, err := postgres.Connector(postgres.Config{DSN: dsn})
		require.NoError(t, err, dsn)
	}
}

func TestEverySessionCarriesItsTimeouts(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for name, want := range map[string]string{"lock_timeout": "2s", "statement_timeout": "5s", "idle_in_transaction_session_timeout": "5s", "jit": "off"} {
		var got string
		require.NoError(t, db.Get(t.Context(), &got, "SELECT current_setting($1)", name))
		require.Equal(t, want, got, name)
	}
}

func TestNoConnectionAsksForAReplicaAndOneThatSaysNothingAsksForThePrimary(t *testing.T) {
	t.Parallel()
	for _, attrs := range []string{"standby", "prefer-standby", "read-only"} {
		_, err := postgres.Open(t.Context(), postgres.Config{DSN: "postgres://u:secret@h/d?target_session_attrs=" + attrs})
		require.ErrorContains(t, err, attrs)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, attrs := range []string{"", "&target_session_attrs=any", "&target_session_attrs=read-write"} {
		dsn := devtest.DSN(t)
		db, err := postgres.Open(t.Context(), postgres.Config{DSN: asReplica(t, dsn) + attrs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.ErrorContains(t, db.Ping(t.Context()), "hot standby", attrs)

		// A session that may only read is no replica's: lessons look with one.
		db, err = postgres.Open(t.Context(), postgres.Config{DSN: dsn + "&default_transaction_read_only=on" + attrs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.NoError(t, db.Ping(t.Context()), attrs)
	}
}

// asReplica is a way to a server on which it says of itself that it is a standby.
func asReplica(t *testing.T, dsn string) string {
	t.Helper()
	return throughProxy(t, dsn, func(said []byte) []byte {
		return bytes.ReplaceAll(said, []byte("S\x00\x00\x00\x17in_hot_standby\x00off\x00"), []byte("S\x00\x00\x00\x16in_hot_standby\x00on\x00"))
	})
}
