// Package rows shows a sandbox its own rows of the tables that keep the promise,
// each with who writes it and in which transaction.
//
// It only reads, and only what belongs to the newest payments of one merchant.
// Secrets stay out: of a stored answer it shows the length, of a card token
// whether it is there.
package rows
