// Package nettest stands between a test and a server: a proxy that can cut every
// connection, refuse new ones and stop carrying bytes, which is what a restart,
// an outage and a broken network look like from a client; and that can lose one
// reply on purpose, which no crash point inside our own code can do.
//
// A lost reply is the one failure that leaves a client not knowing: the server
// has done the work and says so, and the answer is lost. Tools that cut by
// bytes or by time meet that moment by luck. This proxy reads along and meets
// it by meaning: the answer to the COMMIT of a transaction that ran a given
// statement, the answer to one HTTP request, a publisher confirm on its way to
// the client, an acknowledgement on its way to the broker.
//
//	proxy := nettest.NewProxy(t, dsn)
//	loss := proxy.Lose(nettest.Commit("INSERT INTO orders"), nettest.Reset)
//	…
//	loss.Happened() // once: the loss is spent
//
// The connection ends in the same moment, with a FIN or with a RST: to a client
// the first is an end of file, the second an error, and drivers treat the two
// differently.
package nettest
