package retry

import (
	"errors"

	"payonce/internal/platform/postgres"
)

// Class says what trying again can change.
type Class string

// The classes of errors.
const (
	// ClassTransient says that the same message may succeed later.
	ClassTransient Class = "transient"
	// ClassPermanent says that it never will; a person has to look.
	ClassPermanent Class = "permanent"
	// ClassAmbiguous says that the effect may have happened. Trying again is
	// right only for whoever dedupes, which is what an inbox is for; elsewhere
	// ask first.
	ClassAmbiguous Class = "ambiguous"
)

type classed struct {
	class Class
	err   error
}

func (c classed) Error() string { return c.err.Error() }
func (c classed) Unwrap() error { return c.err }

// Permanent marks err as one that no retry cures: an unknown type, a schema
// of the future, a value that breaks a rule. Nil stays nil.
func Permanent(err error) error { return as(ClassPermanent, err) }

// Transient marks err as one that a retry may cure, for example a
// precondition that does not hold yet. Nil stays nil.
func Transient(err error) error { return as(ClassTransient, err) }

// Ambiguous marks err as one after which nobody knows. Nil stays nil.
func Ambiguous(err error) error { return as(ClassAmbiguous, err) }

func as(c Class, err error) error {
	if err == nil {
		return nil
	}
	return classed{c, err}
}

// ClassOf is the class of err: the outermost mark decides. Unmarked, a
// constraint of the database that refused the write is permanent, a lost COMMIT
// is ambiguous and everything else is transient: wrongly retried costs a
// minute, wrongly given up costs a person.
func ClassOf(err error) Class {
	var c classed
	switch {
	case errors.As(err, &c):
		return c.class
	case errors.Is(err, postgres.ErrCommitUnknown):
		return ClassAmbiguous
	case postgres.Violated(err) != "":
		return ClassPermanent
	}
	return ClassTransient
}
