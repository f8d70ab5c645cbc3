// Package strictjson reads a JSON body the way a payment API has to: it accepts
// exactly one spelling of a request and says where another one went wrong.
//
// # The problem
//
// The standard decoder is built to be lenient. It takes the last of two equal
// keys, matches names whatever their case, turns broken UTF-8 into replacement
// characters, treats null as "not there", ignores what it does not know and
// reads 8400.0 or 84e2 as an integer when asked nicely. Each of these lets two
// systems read two different amounts from the same bytes, and each lets a
// fingerprint of the decoded request differ from what the client meant.
//
// # The promise
//
// [Check] returns nothing only when the body is one JSON value in valid UTF-8,
// at most sixteen levels deep, in which every object has each name once, every
// name is one that the schema knows in exactly that spelling, every required
// name is there and not null, every integer is written as an integer, and every
// value keeps the schema's bounds. Otherwise it returns one [Violation] for each
// offending place, with a JSON pointer. Messages never repeat the client's
// values: a body may hold a card token.
//
// The schema is the contract's own (api/openapi.yaml); there is no second list
// of fields here that could drift from it.
package strictjson
