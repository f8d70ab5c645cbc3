// Package lesson holds the guided lessons of the laboratory: a scenario that is
// played on the running system, a text around it, and checks that ask the system
// what really happened.
//
// # A lesson is two files
//
// NAME.go has the scenario: an ordinary function that does to the shop what the
// world does to it, and then asks. text/SLUG.md has the words: predict, run,
// watch, check, why, what remains unguaranteed, and what a teacher needs. [All]
// lists them in their order. To add one, write both and add a line there.
//
// # Where a scenario stands
//
// Outside. It runs in the simulator, because lessons kill api, relay and worker,
// and a runner inside one of them would die of its own lesson. It is a client
// like any other: it has the visitor's API key, sends real HTTP to the shop's
// public address, and arms crash points through the laboratory's own routes.
// What an answer does not say it asks of the provider and the mailbox, which
// keep books of their own, and, read-only, of the shop's database, always
// limited to the visitor's sandbox.
//
//	browser ─▶ api ─/v1/lab/lessons─▶ simulator: Runner ─▶ a Scene plays
//	            ▲                                             │
//	            └────────── HTTP, as the visitor ─────────────┘
//
// # What holds
//
// A run's state is a row in the simulator's database, written at each step, so
// it outlives the death of any of the shop's processes and is there when the api
// is back. A runner that dies marks, when it is started again, what it left as
// failed: a scenario is not resumed in the middle.
//
// A check is asked, never remembered from the scenario: its query is kept beside
// what was expected and what was seen, so that a visitor who doubts can ask
// again. A run is ok when every check holds. The option that came true in the
// prediction is computed from what the run saw; a test compares it with the
// text.
//
// Lessons that end or stop a process take turns with all others, because all
// visitors share the process: see [Lesson.Disturbs].
//
// # What is not promised
//
// That a check holds while others break the house at the same time by hand: a
// lesson that counts two attempts counts three when its retry met a death that
// was not its own. It says what it saw, and can be run again.
package lesson
