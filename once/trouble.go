package once

import "context"

// Trouble is what no program mends by itself: a person has to look at it.
type Trouble struct {
	Kind TroubleKind
	// Scope is whose it is; "" is the operator's own.
	Scope string
	// Subject is what it is about. While one is open, another one of the kind about
	// the same subject is not written.
	Subject string
	// Facts are what a decision needs: a value that is an object in JSON.
	Facts any
}

// TroubleKind is a sort of trouble, in words for that person.
type TroubleKind struct {
	Name string // what is stored
	// Means is what it says, Remedy what a person does about it, and Ends what ends it
	// without being asked.
	Means, Remedy, Ends string
}

// Troubles is where the patterns write trouble. What writes runs in the transaction that
// found it, or that saw its end, so that neither outlives a rollback. Package payonce/once/trouble
// has a table for it; a program that has alerts of its own writes them there.
type Troubles interface {
	Raise(ctx context.Context, tx Tx, t Trouble) error
	// End ends what is open of these kinds about the subject.
	End(ctx context.Context, tx Tx, subject string, kinds ...TroubleKind) error
	// Open lists the subjects of what is open of these kinds.
	Open(ctx context.Context, tx Tx, kinds ...TroubleKind) ([]string, error)
}
