package oncepq_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest"
	oncepq "payonce/once/pq"
)

func TestABrokenDSNIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	_, err := oncepq.Open(oncepq.Config{DSN: "postgres://u:s3cret@host:notaport/db"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

// lib/pq takes the list for the name of one host, and says so at the first query.
func TestAListOfHostsIsRefusedWithTheFormThatWorks(t *testing.T) {
	t.Parallel()
	_, err := oncepq.Open(oncepq.Config{DSN: "postgres://u:s3cret@a:5432,b:5432/db"})
	require.ErrorContains(t, err, "/database?host=a,b&port=5432,5432&target_session_attrs=read-write")
	require.NotContains(t, err.Error(), "s3cret")
	for _, dsn := range []string{
		"postgres://u:s,cret@a/db", "postgres://u@/db?host=a,b&port=1,2&target_session_attrs=read-write", "host=a,b port=1,2 user=u dbname=db",
	} {
		_, err := oncepq.Connector(oncepq.Config{DSN: dsn})
		require.NoError(t, err, dsn)
	}
}

func TestEverySessionCarriesItsTimeouts(t *testing.T) {
	t.Parallel()
	db, err := oncepq.Open(oncepq.Config{DSN: oncetest.Postgres(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for name, want := range map[string]string{"lock_timeout": "2s", "statement_timeout": "5s", "idle_in_transaction_session_timeout": "5s", "jit": "off"} {
		var got string
		rows, err := db.Read(t.Context(), "SELECT current_setting($1)", name)
		_, err = once.One(rows, err, &got)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}

func TestNoConnectionAsksForAReplicaAndOneThatSaysNothingAsksForThePrimary(t *testing.T) {
	t.Parallel()
	for _, attrs := range []string{"standby", "prefer-standby", "read-only"} {
		_, err := oncepq.Open(oncepq.Config{DSN: "postgres://u:secret@h/d?target_session_attrs=" + attrs})
		require.ErrorContains(t, err, attrs)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, attrs := range []string{"", "&target_session_attrs=any", "&target_session_attrs=read-write"} {
		dsn := oncetest.Postgres(t)
		db, err := oncepq.Open(oncepq.Config{DSN: asReplica(t, dsn) + attrs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		err = db.Pool().PingContext(t.Context())
		require.ErrorContains(t, err, "hot standby", attrs)
		require.True(t, once.Unavailable(err), "another server may be the primary in a moment")

		// A session that may only read is no replica's: lessons look with one.
		db, err = oncepq.Open(oncepq.Config{DSN: dsn + "&default_transaction_read_only=on" + attrs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.NoError(t, db.Pool().PingContext(t.Context()), attrs)
	}
}

// asReplica is a way to a server on which it says of itself that it is a standby.
func asReplica(t *testing.T, dsn string) string {
	t.Helper()
	return throughProxy(t, dsn, func(said []byte) []byte {
		return bytes.ReplaceAll(said, []byte("S\x00\x00\x00\x17in_hot_standby\x00off\x00"), []byte("S\x00\x00\x00\x16in_hot_standby\x00on\x00"))
	})
}

// throughProxy forwards a database's port. It passes on what the client says, and of
// each answer what it is made into.
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
		if _, err := client.Write(answer(buf[:n])); err != nil {
			return
		}
	}
}
