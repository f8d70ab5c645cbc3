package postgres

import (
	"errors"

	"github.com/lib/pq"

	oncepq "payonce/once/pq"
)

// Violated returns the name of the constraint that refused the write, "" when
// none did. Constraints are named so that code can tell them apart.
func Violated(err error) string { return oncepq.Constraint(err) }

// NoPartition says whether a table that is cut into days has no place for a row,
// and names the table or the day: the write met none, or was refused because one
// is missing (days_are_there). Either way nothing was written.
func NoPartition(err error) (table string, missing bool) {
	var e *pq.Error
	if !errors.As(err, &e) || e.Code != "PD001" && (e.Code != "23514" || e.Constraint != "") {
		return "", false
	}
	return e.Table, true
}
