// Command pgx is a service on pgx: a POST to /{id} has one effect, however often it comes.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	pool, err := pgxpool.New(context.Background(), os.Getenv("SUBJECT_POSTGRES"))
	if err != nil {
		return err
	}
	server := http.Server{Addr: os.Getenv("SUBJECT_LISTEN"), ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := once(r.Context(), pool, r.URL.Path[1:]); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})}
	return server.ListenAndServe()
}

// once remembers the id with the effect.
func once(ctx context.Context, pool *pgxpool.Pool, id string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		claimed, err := tx.Exec(ctx, `INSERT INTO seen (id) VALUES ($1) ON CONFLICT DO NOTHING`, id)
		if err != nil || claimed.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO effects VALUES ($1, 'order')`, id)
		return err
	})
}
