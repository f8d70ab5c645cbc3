package oncetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// PostgresWith is [Postgres] with what prepare writes. That is done once for each name, by
// the first test of any process that wants it, and copied: tables and their partitions cost
// far more to make than to copy. The name says all that prepare depends on; the day is added,
// and what is left of days before yesterday is dropped.
func PostgresWith(t testing.TB, name string, prepare func(dsn string) error) (dsn string) {
	t.Helper()
	server := service(t, "ONCE_TEST_POSTGRES", startPostgres)
	template, err := templateOf(server, name, prepare)
	if err != nil {
		t.Fatal(err)
	}
	dsn, end, err := database(server, template)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, end)
	return dsn
}

var templates struct {
	sync.Mutex
	made map[string]string
}

func templateOf(server, name string, prepare func(dsn string) error) (template string, err error) {
	templates.Lock()
	defer templates.Unlock()
	if made := templates.made[name]; made != "" {
		return made, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	db, err := sql.Open("postgres", server)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	session, err := db.Conn(ctx) // an advisory lock belongs to it
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	if template, err = copied(ctx, session, server, name, prepare); err != nil {
		return "", fmt.Errorf("oncetest: make the database that others are copied from: %w", err)
	}
	if templates.made == nil {
		templates.made = map[string]string{}
	}
	templates.made[name] = template
	return template, nil
}

const prefix = "once_template_"

// copied finds the template of that name, or makes it. That it is whole is said last.
func copied(ctx context.Context, session *sql.Conn, server, name string, prepare func(dsn string) error) (string, error) {
	today := time.Now().UTC()
	template := prefix + today.Format("20060102") + "_" + uuid.NewSHA1(uuid.Nil, []byte(name)).String()[:13]
	if _, err := session.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext($1))`, prefix); err != nil {
		return "", err
	}
	var whole bool
	const look = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`
	if err := session.QueryRowContext(ctx, look, template).Scan(&whole); err != nil || whole {
		return template, err
	}
	if err := dropOld(ctx, session, prefix+today.AddDate(0, 0, -1).Format("20060102")); err != nil {
		return "", err
	}
	quoted := pq.QuoteIdentifier(template)
	for _, statement := range []string{`DROP DATABASE IF EXISTS ` + quoted, `CREATE DATABASE ` + quoted + ` TEMPLATE template0`} {
		if _, err := session.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	at, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	at.Path = "/" + template
	if err := prepare(at.String()); err != nil {
		return "", err
	}
	// One with a session cannot be copied.
	for _, statement := range []string{`ALTER DATABASE ` + quoted + ` ALLOW_CONNECTIONS false`, `ALTER DATABASE ` + quoted + ` IS_TEMPLATE true`} {
		if _, err := session.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	return template, nil
}

// dropOld drops the templates of days before that of the name.
func dropOld(ctx context.Context, session *sql.Conn, since string) error {
	rows, err := session.QueryContext(ctx, `SELECT datname FROM pg_database WHERE datname LIKE $1 AND datname < $2`, prefix+"%", since)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var old []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		old = append(old, pq.QuoteIdentifier(name))
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, name := range old {
		for _, statement := range []string{`ALTER DATABASE ` + name + ` IS_TEMPLATE false`, `DROP DATABASE ` + name} {
			if _, err := session.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}
