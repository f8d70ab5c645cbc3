package retry

import (
	"errors"

	"payonce/once"
)

// Class says what trying again can change. It is decided here and nowhere else:
// the code that knows an error marks it, [ClassOf] reads the mark, and [Class.Fate]
// says what becomes of the message.
//
//	class      the error says           then
//	done       done before              remembered as applied, acknowledged
//	permanent  refused                  a person, at once
//	transient  try again                after each delay of the schedule, then a person
//	ambiguous  unknown                  the same: a consumer that dedupes may ask twice
//	poison     cannot even be read      a person, at once
type Class string

// The classes of errors.
const (
	// ClassDone says that the effect is there already, by its business key.
	ClassDone Class = "done"
	// ClassPermanent says that it never will be; a person has to look.
	ClassPermanent Class = "permanent"
	// ClassTransient says that the same message may succeed later.
	ClassTransient Class = "transient"
	// ClassAmbiguous says that the effect may have happened. Trying again is
	// right only for a consumer that dedupes, which is what an inbox is for; elsewhere
	// ask first.
	ClassAmbiguous Class = "ambiguous"
	// ClassPoison says that the message itself is at fault: it cannot be read, or
	// its consumer dies of it.
	ClassPoison Class = "poison"
)

// Classes are all there are, for counters.
var Classes = []Class{ClassDone, ClassPermanent, ClassTransient, ClassAmbiguous, ClassPoison}

// Fate is what becomes of a message that failed.
type Fate int

// The fates there are.
const (
	Again  Fate = iota // after the next delay, while there is one
	Person             // among the dead, for somebody to look at
	Absorb             // nothing is left to do
)

// Fate is what becomes of a message that failed with this class. An unknown one
// is tried again: that ends with a person, too.
func (c Class) Fate() Fate {
	switch c {
	case ClassDone:
		return Absorb
	case ClassPermanent, ClassPoison:
		return Person
	case ClassTransient, ClassAmbiguous:
		return Again
	}
	return Again
}

type classed struct {
	class Class
	err   error
}

func (c classed) Error() string { return c.err.Error() }
func (c classed) Unwrap() error { return c.err }

// Done marks err as "this was done before": the message is acknowledged and
// remembered, without an effect. Nil stays nil.
func Done(err error) error { return as(ClassDone, err) }

// Permanent marks err as one that no retry cures: an unknown type, a schema
// of the future, a value that breaks a rule. Nil stays nil.
func Permanent(err error) error { return as(ClassPermanent, err) }

// Transient marks err as one that a retry may cure, for example a
// precondition that does not hold yet. Nil stays nil.
func Transient(err error) error { return as(ClassTransient, err) }

// Ambiguous marks err as one after which the effect is unknown. Nil stays nil.
func Ambiguous(err error) error { return as(ClassAmbiguous, err) }

// Poison marks err as the fault of the message itself. Nil stays nil.
func Poison(err error) error { return as(ClassPoison, err) }

func as(c Class, err error) error {
	if err == nil {
		return nil
	}
	return classed{c, err}
}

// ClassOf is the class of err: the outermost mark decides. Unmarked, a lost COMMIT is
// ambiguous and everything else is transient: wrongly retried costs a minute, wrongly
// given up costs a person. See [Refused] for what only the database's adapter knows.
func ClassOf(err error) Class {
	var c classed
	switch {
	case errors.As(err, &c):
		return c.class
	case errors.Is(err, once.ErrCommitUnknown):
		return ClassAmbiguous
	}
	return ClassTransient
}

// Refused marks err as [Permanent] when it has no mark and says that a constraint of the
// database refused a write.
func Refused(db once.DB, err error) error {
	var c classed
	if err == nil || errors.As(err, &c) || db.Constraint(err) == "" {
		return err
	}
	return Permanent(err)
}
