package once

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// ErrCommitUnknown says that the connection broke while the COMMIT was on its way: the
// transaction may or may not be durable. Look what the database holds; never run the
// work again blindly.
var ErrCommitUnknown = errors.New("once: the answer to COMMIT was lost, the outcome is unknown")

// SQLState is the server's five characters for what is wrong, or "" when the error is
// not the server's. The codes are those of Postgres, appendix A of its manual.
func SQLState(err error) string {
	var server interface{ SQLState() string }
	if errors.As(err, &server) {
		return server.SQLState()
	}
	return ""
}

// Retriable says that the same transaction may be run again: a serialization failure
// or a deadlock, and the server rolled it back.
func Retriable(err error) bool {
	state := SQLState(err)
	return state == "40001" || state == "40P01"
}

// UniqueViolation says that the write met a row that is already there.
func UniqueViolation(err error) bool { return SQLState(err) == "23505" }

// MissingReference says that a row is not there that another one needs.
func MissingReference(err error) bool { return SQLState(err) == "23503" }

// BadValue says that the server takes no such value, however often it is asked: it has
// not the form of its type, or is too large for an index.
func BadValue(err error) bool {
	state := SQLState(err)
	return strings.HasPrefix(state, "22") || strings.HasPrefix(state, "54")
}

// LockTimeout says that another transaction held a row or a lock for longer than the
// session waits.
func LockTimeout(err error) bool { return SQLState(err) == "55P03" }

// Canceled says that the server ended the statement: its timeout, or the caller's
// context.
func Canceled(err error) bool { return SQLState(err) == "57014" }

// Unavailable says that the database is away, starting, stopping or out of connections
// or disk: nothing is wrong with the statement, ask again later. It does not say so of
// [ErrCommitUnknown], after which the work may be done, nor of a deadline of the caller's.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if state := SQLState(err); state != "" {
		switch {
		case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), strings.HasPrefix(state, "53"), strings.HasPrefix(state, "58"):
			return true
		case state == "25P03": // idle_in_transaction_session_timeout ended the session
			return true
		}
		return false
	}
	if errors.Is(err, ErrCommitUnknown) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network)
}

// Committed makes of what the driver said to a COMMIT what [DB.InTx] says. unsent says
// that the driver knows of no COMMIT that reached the server. Adapters call it.
//
// A server that gives a reason (a deferred constraint, a serialization failure) has
// rolled back. What is lost otherwise is unknown, and its error does not wrap the
// context's: a caller would read there that nothing was done. A context that ends
// while the commit waits for a standby cancels the wait, and the server answers as if
// it was over; then this server alone has the commit.
func Committed(ctx context.Context, err error, unsent bool) error {
	switch {
	case err != nil && (unsent || SQLState(err) != "" && !Unavailable(err)):
		return err
	case err != nil:
		return fmt.Errorf("%w: %s", ErrCommitUnknown, err.Error())
	case ctx.Err() != nil:
		return fmt.Errorf("%w: its wait was cut short: %s", ErrCommitUnknown, ctx.Err().Error())
	}
	return nil
}
