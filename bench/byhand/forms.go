package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"time"

	"github.com/lib/pq"
)

// steps is the form in nine round trips: four to claim, five to finish.
func (h *handler) steps() form {
	return form{
		claim: func(ctx context.Context, o order) (attempt int, err error) {
			err = h.inTx(ctx, func(tx *sql.Tx) error {
				res, err := tx.StmtContext(ctx, h.insertKey).ExecContext(ctx, o.key, o.hash)
				if err != nil {
					return err
				}
				if n, err := res.RowsAffected(); err != nil || n == 0 {
					return errors.Join(errTaken, err)
				}
				err = tx.StmtContext(ctx, h.claim).QueryRowContext(ctx, o.payment, o.AmountMinor, o.Currency).Scan(&attempt)
				return refused(err)
			})
			return attempt, err
		},
		finish: func(ctx context.Context, o order, c charge, at time.Time, payload, body []byte) error {
			return h.inTx(ctx, func(tx *sql.Tx) error {
				if _, err := tx.StmtContext(ctx, h.charged).ExecContext(ctx, o.payment, c.ID, at); err != nil {
					return err
				}
				if _, err := tx.StmtContext(ctx, h.event).ExecContext(ctx, o.payment, string(payload)); err != nil {
					return err
				}
				_, err := tx.StmtContext(ctx, h.answer).ExecContext(ctx, o.key, http.StatusOK, body)
				return err
			})
		},
	}
}

// folded is the form in two: each transaction is one statement.
func (h *handler) folded() form {
	return form{
		claim: func(ctx context.Context, o order) (attempt int, err error) {
			err = h.claimFolded.QueryRowContext(ctx, o.payment, o.AmountMinor, o.Currency, o.key, o.hash).Scan(&attempt)
			if postgres := new(pq.Error); errors.As(err, &postgres) && postgres.Constraint == "keys_pkey" {
				return 0, errTaken
			}
			return attempt, refused(err)
		},
		finish: func(ctx context.Context, o order, c charge, at time.Time, payload, body []byte) error {
			_, err := h.finishFolded.ExecContext(ctx, o.payment, c.ID, at, string(payload), o.key, http.StatusOK, body)
			return err
		},
	}
}

func refused(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errRefused
	}
	return err
}

func (h *handler) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := h.db.BeginTx(ctx, nil) //nolint:forbidigo // nothing of ours
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}
