package world

import (
	"net/http"
	"strconv"
	"time"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// getCharges is GET /v1/charges?reference=&idempotency_key=&created_from=&cursor=&limit=,
// oldest first. A cursor stands behind the last charge of its page. A charge
// may become visible a moment after a younger one did, so whoever follows the
// tail reads the last page again instead of trusting its end.
func (w *World) getCharges(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := readLimit(query.Get("limit"))
	if err != nil {
		writeError(rw, err)
		return
	}
	for _, name := range []string{"reference", "idempotency_key"} {
		// A caller that lost its key must not be shown everybody's charges.
		if query.Has(name) && query.Get(name) == "" {
			writeError(rw, invalid(name, "%s is empty; leave it out to list everything.", name))
			return
		}
	}
	from, err := readFrom(query.Get("created_from"))
	if err != nil {
		writeError(rw, err)
		return
	}
	charges, err := w.books.list(r.Context(), filter{
		from:      from,
		reference: cleanText(query.Get("reference")), key: cleanText(query.Get("idempotency_key")),
		after: cleanText(query.Get("cursor")), limit: limit + 1,
	})
	if err != nil {
		w.logUnexpected("list charges", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, cut(charges, limit, func(c Charge) string { return c.ID }))
}

// getCharge is GET /v1/charges/{id}.
func (w *World) getCharge(rw http.ResponseWriter, r *http.Request) {
	charges, err := w.books.list(r.Context(), filter{id: cleanText(r.PathValue("id")), limit: 1})
	switch {
	case err != nil:
		w.logUnexpected("get a charge", err)
		writeError(rw, err)
	case len(charges) == 0:
		writeError(rw, errNotFound)
	default:
		writeJSON(rw, http.StatusOK, charges[0])
	}
}

// getBalance is GET /v1/balance: what live charges add up to, less what went
// back, per currency.
func (w *World) getBalance(rw http.ResponseWriter, r *http.Request) {
	balances, err := w.books.balance(r.Context())
	if err != nil {
		w.logUnexpected("balance", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, page[Balance]{Data: balances})
}

// cut turns limit+1 rows into a page of limit rows and the cursor of the next.
func cut[T any](rows []T, limit int, id func(T) string) page[T] {
	if len(rows) <= limit {
		return page[T]{Data: rows}
	}
	next := id(rows[limit-1])
	return page[T]{Data: rows[:limit], NextCursor: &next}
}

// readFrom reads the moment from which things are listed; none lists all.
func readFrom(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	from, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, invalid("created_from", "created_from must be a time as RFC 3339 has it.")
	}
	from = from.UTC() // Postgres reads no offset beyond 15:59
	return &from, nil
}

func readLimit(text string) (int, error) {
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, invalid("limit", "limit must be between 1 and %d.", maxLimit)
	}
	return limit, nil
}
