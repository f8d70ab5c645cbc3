// Package rows shows a sandbox its own rows of the tables that keep the promise,
// each with who writes it and in which transaction.
//
// It only reads, and only what belongs to the newest payments of one merchant.
// What nobody may see stays out: of a stored answer its length, of a card token
// whether it is there.
package rows
