package oncepq

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"

	"payonce/once"
)

// Config says which database, and how much of it this process may use.
type Config struct {
	DSN string
	// PoolSize bounds the connections; the rest of the callers queue here, in
	// the application, which measured 35 % faster than letting them queue in
	// the server. 0 means 16.
	PoolSize int
	// AppName is what pg_stat_activity shows.
	AppName string

	LockTimeout      time.Duration // 0 means 2 s
	StatementTimeout time.Duration // 0 means 5 s
	IdleInTxTimeout  time.Duration // 0 means 5 s

	// Wrap stands between the pool and the driver; nil leaves it out. Tests use
	// it to make the driver do what a lost reply makes it do.
	Wrap func(driver.Connector) driver.Connector
}

// Open makes the pool. It does not connect: a process may start before its
// database.
func Open(cfg Config) (*DB, error) {
	connector, err := Connector(cfg)
	if err != nil {
		return nil, err
	}
	size := cfg.PoolSize
	if size == 0 {
		size = 16
	}
	driven := connector
	if cfg.Wrap != nil {
		driven = cfg.Wrap(driven)
	}
	pool := sql.OpenDB(driven)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return over(pool, cfg.DSN, func() (driver.Connector, error) { return driven, nil }), nil
}

// Connector parses the DSN and adds the session's timeouts to it, and that it
// compiles no plan. What opens a connection of its own beside the pool starts here.
func Connector(cfg Config) (driver.Connector, error) {
	c, err := parse(cfg.DSN)
	if err != nil {
		return nil, err
	}
	// The server says what it is when a connection begins: this asks it nothing. A
	// session that may only read is welcome on the primary, so read-write is not asked
	// for.
	switch c.TargetSessionAttrs {
	case "", pq.TargetSessionAttrsAny, pq.TargetSessionAttrsReadWrite, pq.TargetSessionAttrsPrimary:
		c.TargetSessionAttrs = pq.TargetSessionAttrsPrimary
	default:
		return nil, fmt.Errorf("target_session_attrs=%s asks for a replica, and nothing is decided from one; leave it out, or write read-write", c.TargetSessionAttrs)
	}
	if c.Runtime == nil {
		c.Runtime = map[string]string{}
	}
	set := func(name string, d, byDefault time.Duration) {
		if _, given := c.Runtime[name]; given {
			return
		}
		if d == 0 {
			d = byDefault
		}
		c.Runtime[name] = fmt.Sprintf("%d", d.Milliseconds())
	}
	set("lock_timeout", cfg.LockTimeout, 2*time.Second)
	set("statement_timeout", cfg.StatementTimeout, 5*time.Second)
	set("idle_in_transaction_session_timeout", cfg.IdleInTxTimeout, 5*time.Second)
	// A plan that reaches into forty days is estimated dear, although most are empty:
	// compiling it took more than a minute of processor time where running it took seconds.
	if _, given := c.Runtime["jit"]; !given {
		c.Runtime["jit"] = "off"
	}
	if c.ApplicationName == "" {
		c.ApplicationName = cfg.AppName
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 3 * time.Second
	}
	connector, err := pq.NewConnectorConfig(c)
	if err != nil {
		return nil, err
	}
	return said{connector}, nil
}

// said gives an error of a connection that did not come about, and that the server gave
// no reason for, the form that [once.Unavailable] knows: the driver hides the network's
// behind a type of its own, and of a standby it says so in words.
type said struct{ driver.Connector }

func (s said) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil && ctx.Err() == nil && once.SQLState(err) == "" && !once.Unavailable(err) {
		err = fmt.Errorf("%w: %w", net.ErrClosed, err)
	}
	return conn, err
}

func parse(dsn string) (pq.Config, error) {
	if listed(dsn) {
		return pq.Config{}, errors.New("several hosts cannot stand before the path of a Postgres URL; write postgres://user:password@/database?host=a,b&port=5432,5432&target_session_attrs=read-write")
	}
	c, err := pq.NewConfig(dsn)
	if err != nil {
		// The parser's error may quote the DSN, and so the password.
		return c, errors.New("the Postgres DSN cannot be parsed; expected postgres://user:password@host:port/database")
	}
	return c, nil
}

// listed says that a URL names several hosts as libpq does, which lib/pq takes for
// the name of one.
func listed(dsn string) bool {
	_, rest, isURL := strings.Cut(dsn, "://")
	authority, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = authority[i+1:] // a password may hold a comma
	}
	return isURL && strings.Contains(authority, ",")
}

// ofPrimary is the DSN of a connection to the primary. lib/pq's listener takes a DSN
// and no connector; on a replica LISTEN is refused.
func ofPrimary(dsn string) string {
	const attrs, primary = "target_session_attrs", "primary"
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return dsn + " " + attrs + "=" + primary // the last one counts
	}
	q := u.Query()
	q.Set(attrs, primary)
	u.RawQuery = q.Encode()
	return u.String()
}
