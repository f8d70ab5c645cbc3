package killtest_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"payonce/once/oncetest/killtest"
	"payonce/once/rabbit"
)

// subjects are programs as they are written everywhere, some with a mistake that their
// own tests do not see.
var subjects = map[string]func() error{
	"keyed":               func() error { return serve(keyed) },
	"remembers in memory": func() error { return serve(inMemory()) },
	"two commits":         func() error { return serve(twoCommits) },
	"answers first":       func() error { return serve(answersFirst) },
	"locks in any order":  func() error { return serve(locks) },
	"outbox":              outbox,
	"dual write":          dualWrite,
	"inbox":               func() error { return consume(withInbox) },
	"remembers first":     func() error { return consume(remembersFirst) },
	"acknowledges first":  func() error { return consume(acksFirst) },
}

type handler func(ctx context.Context, db *sql.DB, id string) error

func database() (*sql.DB, error) {
	db, err := sql.Open("postgres", os.Getenv(killtest.EnvPostgres))
	if err == nil {
		db.SetMaxOpenConns(8)
	}
	return db, err
}

func serve(h handler) error {
	db, err := database()
	if err != nil {
		return err
	}
	return listen(func(w http.ResponseWriter, r *http.Request) {
		if err := h(r.Context(), db, r.URL.Path[1:]); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

func listen(h http.HandlerFunc) error {
	server := http.Server{Addr: os.Getenv(killtest.EnvListen), Handler: h, ReadHeaderTimeout: time.Second}
	return server.ListenAndServe()
}

func inTx(ctx context.Context, db *sql.DB, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const (
	rememberSQL = `INSERT INTO seen (id) VALUES ($1) ON CONFLICT DO NOTHING`
	effectSQL   = `INSERT INTO effects VALUES ($1, 'one')`
)

func effect(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := exec(ctx, tx, effectSQL, id)
	return err
}

func keyed(ctx context.Context, db *sql.DB, id string) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		if n, err := exec(ctx, tx, rememberSQL, id); err != nil || n == 0 {
			return err
		}
		return effect(ctx, tx, id)
	})
}

func inMemory() handler {
	var (
		mu   sync.Mutex
		done = map[string]bool{}
	)
	return func(ctx context.Context, db *sql.DB, id string) error {
		mu.Lock()
		defer mu.Unlock()
		if done[id] {
			return nil
		}
		err := inTx(ctx, db, func(tx *sql.Tx) error { return effect(ctx, tx, id) })
		done[id] = err == nil
		return err
	}
}

func twoCommits(ctx context.Context, db *sql.DB, id string) error {
	var known bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM seen WHERE id = $1)`, id).Scan(&known); err != nil || known {
		return err
	}
	if err := inTx(ctx, db, func(tx *sql.Tx) error { return effect(ctx, tx, id) }); err != nil {
		return err
	}
	return inTx(ctx, db, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, rememberSQL, id)
		return err
	})
}

func answersFirst(ctx context.Context, db *sql.DB, id string) error {
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = keyed(context.WithoutCancel(ctx), db, id)
	}()
	return nil
}

func locks(ctx context.Context, db *sql.DB, id string) error {
	first, second := 1, 2
	if id[len(id)-1]%2 == 0 {
		first, second = 2, 1
	}
	return inTx(ctx, db, func(tx *sql.Tx) error {
		if n, err := exec(ctx, tx, rememberSQL, id); err != nil || n == 0 {
			return err
		}
		for _, account := range []int{first, second} {
			if _, err := exec(ctx, tx, `UPDATE accounts SET used = used + 1 WHERE no = $1`, account); err != nil {
				return err
			}
			// Longer than the crowd takes to come, also on a machine that opens a
			// connection in 30 ms: with 10 ms each was over before the next began.
			time.Sleep(150 * time.Millisecond)
		}
		return effect(ctx, tx, id)
	})
}

// outbox is the smallest correct relay: one, and a row after the other.
func outbox() error {
	db, err := database()
	if err != nil {
		return err
	}
	conn, err := connect(os.Getenv(killtest.EnvAMQP))
	if err != nil {
		return err
	}
	out, ctx := conn.Publisher(rabbit.PublisherConfig{}), context.Background()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			var id string
			if db.QueryRowContext(ctx, `SELECT id FROM outbox WHERE NOT published LIMIT 1`).Scan(&id) == nil && out.Publish(ctx, event(id)) == nil {
				_, _ = db.ExecContext(ctx, `UPDATE outbox SET published = true WHERE id = $1`, id)
			}
		}
	}()
	return serve(func(ctx context.Context, db *sql.DB, id string) error {
		return inTx(ctx, db, func(tx *sql.Tx) error {
			if n, err := exec(ctx, tx, rememberSQL, id); err != nil || n == 0 {
				return err
			}
			if _, err := exec(ctx, tx, `INSERT INTO outbox (id) VALUES ($1)`, id); err != nil {
				return err
			}
			return effect(ctx, tx, id)
		})
	})
}

func dualWrite() error {
	conn, err := connect(os.Getenv(killtest.EnvAMQP))
	if err != nil {
		return err
	}
	out := conn.Publisher(rabbit.PublisherConfig{})
	return serve(func(ctx context.Context, db *sql.DB, id string) error {
		var made bool
		if err := inTx(ctx, db, func(tx *sql.Tx) error {
			n, err := exec(ctx, tx, rememberSQL, id)
			if made = n == 1; err != nil || !made {
				return err
			}
			return effect(ctx, tx, id)
		}); err != nil || !made {
			return err
		}
		return out.Publish(ctx, event(id))
	})
}

// consume reads the queue and listens, so that it is known when it has begun.
func consume(handle func(ctx context.Context, db *sql.DB, d rabbit.Delivery) error) error {
	db, err := database()
	if err != nil {
		return err
	}
	conn, err := connect(os.Getenv(killtest.EnvAMQP))
	if err != nil {
		return err
	}
	go func() { _ = listen(http.NotFound) }()
	return conn.Consume(context.Background(), rabbit.ConsumerConfig{Queue: queue}, func(ctx context.Context, batch []rabbit.Delivery) {
		for _, d := range batch {
			for handle(ctx, db, d) != nil && !d.Lost() {
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
}

func withInbox(ctx context.Context, db *sql.DB, d rabbit.Delivery) error {
	if err := keyed(ctx, db, d.ID); err != nil {
		return err
	}
	return rabbit.Ack(d)
}

func remembersFirst(ctx context.Context, db *sql.DB, d rabbit.Delivery) error {
	var made bool
	if err := inTx(ctx, db, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, rememberSQL, d.ID)
		made = n == 1
		return err
	}); err != nil {
		return err
	}
	if made {
		if err := inTx(ctx, db, func(tx *sql.Tx) error { return effect(ctx, tx, d.ID) }); err != nil {
			return err
		}
	}
	return rabbit.Ack(d)
}

func acksFirst(ctx context.Context, db *sql.DB, d rabbit.Delivery) error {
	if err := rabbit.Ack(d); err != nil {
		return err
	}
	return keyed(ctx, db, d.ID)
}
