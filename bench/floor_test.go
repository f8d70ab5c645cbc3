package main

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
)

// A floor that leaves a row out would be an easy one.
func TestTheTwoStatementsWriteEveryRowOfACaptureOnce(t *testing.T) {
	t.Parallel()
	const captures = 20
	db, err := sql.Open("postgres", devtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h := &house{db: db}
	work, merchants := seeded(t, h, captures)
	writers := []*writer{prepared(t, db), prepared(t, db)}
	done, err := together(writers, work, time.Minute)
	if err != nil || done != captures {
		t.Fatalf("%d of %d captures: %v", done, captures, err)
	}
	if err := h.verify(t.Context(), merchants, captures); err != nil {
		t.Error(err)
	}
	if err := h.verify(t.Context(), merchants, captures-1); err == nil {
		t.Error("one capture too many was not noticed")
	}
}

func seeded(t *testing.T, h *house, n int) ([]arguments, []uuid.UUID) {
	t.Helper()
	merchants, err := h.seedMerchants(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := h.seed(t.Context(), merchants, n)
	if err != nil || len(jobs) != n {
		t.Fatalf("%d payments were seeded: %v", len(jobs), err)
	}
	work := make([]arguments, n)
	for i, j := range jobs {
		if work[i], err = argumentsOf(j); err != nil {
			t.Fatal(err)
		}
	}
	return work, merchants
}

func prepared(t *testing.T, db *sql.DB) *writer {
	t.Helper()
	w, err := newWriter(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}
