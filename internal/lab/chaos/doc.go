// Package chaos runs campaigns: a house of its own with several of every
// process, buyers who keep buying, faults that come from a seed, and at the end
// the question whether everything that was promised is true.
//
// # One campaign
//
//	plan      what breaks when, a pure function of seed, length and points
//	house     Postgres, RabbitMQ, simulator, two api, two relays, three workers;
//	          whatever dies is started again
//	links     every connection between a program and a service goes through a
//	          proxy that can cut it, freeze it or slow it down
//	doors     what moves money besides checkouts, by hand and by decision
//	buyers    retrying clients; each writes down every attempt and every answer
//	lift      all faults end; the clock of convergence starts
//	quiet     nothing unpublished, unanswered, unsent, in doubt or in a queue
//	checks    the invariants of edge/audit from a fresh api, the clients' own log,
//	          a history check, a verdict for every event, a scan of logs and messages
//
// The drain is to quiescence and not for a while: a drain that is limited in
// time reports losses that are only delays.
//
// # On a cluster
//
// With Options.Cluster there are three nodes of RabbitMQ and a Postgres with a
// standby, and links lead to all of them. Nodes are killed, two at once too; hang,
// for shorter and longer than the others wait; and are cut off from the others: their
// cookies are made to differ, and two nodes with different cookies do not connect.
// These faults take turns, and each ends when the nodes are together again, if need
// be after a restart, which the report counts. When the primary is killed its standby
// takes over and the dead one follows it; commits wait for the other of the two all
// the time, so what was acknowledged must be there at the end.
//
// # What replays and what does not
//
// The same seed, length and set of points give the same plan, and the plan is
// in the report. What the operating system does between two steps is not
// replayed: a campaign is an experiment that can be repeated, not a recording.
//
// # Who checks the checker
//
// The checks of the clients' log and of the history are pure functions, and
// their tests feed them logs that lie. The rest is checked by planted bugs:
// `make chaos-mutants`.
package chaos
