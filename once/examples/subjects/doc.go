// Package subjects judges programs that have nothing of payonce in them, by
// payonce/once/oncetest/killtest: a service on pgx, one on River, a consumer on Watermill
// with dedupe in SQL, and a service in JavaScript, once right and once with a mistake.
// What is right passes, whatever it is made of; the mistake is found.
//
//	pgx        a keyed request: key, effect and answer in one transaction
//	river      an effect that follows from a request, as a job of the same transaction
//	watermill  a consumer that remembers the message with the effect
//	node       the same as pgx, in JavaScript; with SUBJECT_FORM=two-commits its mistake
//
// They are a module of their own: no user of the patterns has their dependencies. make
// prove builds and judges them, and each `go test` the first; by hand
//
//	go build -o bin/ ./river ./watermill && npm --prefix node ci
//	SUBJECTS=$PWD/bin go test -tags prove ./...
package subjects
