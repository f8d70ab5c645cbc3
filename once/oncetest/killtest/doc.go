// Package killtest judges a program from outside, in whatever language it is written and
// with whatever library: it is killed at each moment at which that can matter, and what it
// did is counted.
//
//	killtest.Run(t, killtest.Subject{
//		Prepare: func(t testing.TB, at killtest.Services) { … its tables … },
//		Start:   killtest.Command("./shop", []string{"--listen", killtest.Listen}),
//		Act:     killtest.Post("/orders/"),
//		Effects: func(ctx context.Context, at killtest.Services, id string) (map[string]int, error) { … count … },
//	})
//
// # How
//
// The subject reaches Postgres and RabbitMQ through proxies that read along. One activity
// on a quiet subject shows its moments: each commit that wrote, by the state that the
// server tells and the transaction id that it gave, not by the word COMMIT; each message
// that is published, confirmed and acknowledged. Then the activity is done anew for each
// moment, and there
//
//   - the process is killed, before the server hears of it or after it has done it,
//   - or the answer is lost, and the process lives,
//   - or the answer comes late.
//
// A process that ended is started again, as a supervisor does. The client that got no
// answer asks again. At the end each effect is there once.
//
// # Verdicts
//
// Only effects count: each exactly once, none lost, also when the process dies right after
// its answer; and no deadlock in a crowd. What a subject does on the way, such as
// publishing while a transaction is open, is among [Report.Findings]: it may have its
// reasons.
//
// # What is not judged
//
// The wire to another company: nothing is met there. Its effects are counted like any, by a
// server of the test that dedupes by key, given to the program by its environment
// (examples/foreign does so). Order, which few consumers need; time; a Postgres or a broker
// that dies.
package killtest
