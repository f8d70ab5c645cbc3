// Package cli is the command line payonce: what the page does, for a terminal
// and for programs. It is a client of the HTTP API like any other, so what it
// shows is what the browser shows: the same rows, counted by the same outside
// world, in the same sentence. Only doctor and migrate look behind the API.
//
// A sandbox of its own is made at the first command and kept, so that the next
// command sees the rows of the one before; `payonce sandbox --use sk_test_…`
// takes the browser's instead, and then both show one truth.
//
//	client  asks the shop, patiently and with one key for one intent
//	screen  tables for people, JSON for programs, from one value
//	cli     the commands, and the words of the page
//
// Exit codes are a contract, because scripts and lessons build on them:
//
//	0  it holds, or it was done
//	1  it does not hold, or it was refused
//	2  the command line cannot be understood
//	3  no answer
package cli
