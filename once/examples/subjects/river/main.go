// Command river is a service on River: a POST to /{id} places an order, and a job of the
// same transaction sends its mail, once.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

type mailArgs struct {
	ID string `json:"id"`
}

func (mailArgs) Kind() string { return "mail" }

// mailer has the mail and the end of its job in one transaction.
type mailer struct {
	river.WorkerDefaults[mailArgs]
	pool *pgxpool.Pool
}

func (m *mailer) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	return pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO effects VALUES ($1, 'mail')`, job.Args.ID); err != nil {
			return err
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv("SUBJECT_POSTGRES"))
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &mailer{pool: pool})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}}, Workers: workers,
		Logger:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		JobTimeout: time.Second, RescueStuckJobsAfter: time.Second, // a killed worker's job is given to another one after that
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	server := http.Server{Addr: os.Getenv("SUBJECT_LISTEN"), ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := place(r.Context(), pool, client, r.URL.Path[1:]); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})}
	return server.ListenAndServe()
}

func place(ctx context.Context, pool *pgxpool.Pool, client *river.Client[pgx.Tx], id string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		claimed, err := tx.Exec(ctx, `INSERT INTO seen (id) VALUES ($1) ON CONFLICT DO NOTHING`, id)
		if err != nil || claimed.RowsAffected() == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO effects VALUES ($1, 'order')`, id); err != nil {
			return err
		}
		_, err = client.InsertTx(ctx, tx, mailArgs{ID: id}, nil)
		return err
	})
}
