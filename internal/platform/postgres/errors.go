package postgres

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
)

func serverError(err error) *pq.Error {
	var e *pq.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

func code(err error) string {
	if e := serverError(err); e != nil {
		return string(e.Code)
	}
	return ""
}

// Violated returns the name of the constraint that refused the write, "" when
// none did. Constraints are named so that code can tell them apart.
func Violated(err error) string {
	if e := serverError(err); e != nil && strings.HasPrefix(string(e.Code), "23") {
		return e.Constraint
	}
	return ""
}

// NoPartition says whether a table that is cut into days has no place for a row,
// and names the table or the day: the write met none, or was refused because one
// is missing (days_are_there). Either way nothing was written.
func NoPartition(err error) (table string, missing bool) {
	e := serverError(err)
	if e == nil || e.Code != "PD001" && (e.Code != "23514" || e.Constraint != "") {
		return "", false
	}
	return e.Table, true
}

// UniqueViolation says whether the write met a row that is already there.
func UniqueViolation(err error) bool { return code(err) == "23505" }

// MissingReference says that a row is not there that another one needs.
func MissingReference(err error) bool { return code(err) == "23503" }

// Retriable says whether the same transaction may simply be run again: a
// serialization failure or a deadlock, and the server rolled it back.
func Retriable(err error) bool {
	c := code(err)
	return c == "40001" || c == "40P01"
}

// LockTimeout says that a row or lock was held by somebody for longer than the
// session waits.
func LockTimeout(err error) bool { return code(err) == "55P03" }

// Canceled says that the server ended the statement: its timeout, or the
// caller's context.
func Canceled(err error) bool { return code(err) == "57014" }

// Unavailable says that the database is away, starting, stopping or out of
// connections or disk: nothing is wrong with the statement, ask again later.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if c := code(err); c != "" {
		switch {
		case strings.HasPrefix(c, "08"), strings.HasPrefix(c, "57P"), strings.HasPrefix(c, "53"), strings.HasPrefix(c, "58"):
			return true
		case c == "25P03": // idle_in_transaction_session_timeout ended the session
			return true
		}
		return false
	}
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, ErrCommitUnknown) || errors.As(err, &netErr)
}
