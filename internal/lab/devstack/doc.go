// Package devstack runs a private Postgres and a private RabbitMQ as child
// processes of the demo and of the tests.
//
// A demo that needs a container runtime is a demo that many people never see,
// and a test suite that needs somebody's running broker is one that fails on
// Mondays. So the two services are started from the distribution's own
// packages, on free loopback ports, with all their data under one folder.
//
// # Promises
//
//   - Services that already run are never touched: other ports, other data,
//     another epmd, no Unix sockets.
//   - Data is kept between runs; passwords and ports too.
//   - The stack dies with its launcher, also when that is killed with SIGKILL:
//     both services are direct children with a parent-death signal (see proc).
//   - What an earlier launcher may have left behind is recognised by its data
//     folder and ended before the next start. Nothing else is ever signalled.
//   - One stack per folder: a second Start returns ErrInUse with the pid.
//   - When PAYONCE_POSTGRES_DSN or PAYONCE_AMQP_URL name a service, that one is
//     used and nothing is started in its place.
//
// Not promised: anything but Linux. On other systems Start says which two
// variables to set, or to use the compose file.
//
// # Why each service is started the way it is
//
// Postgres is executed directly, not by pg_ctl: as somebody else's child a
// killed postmaster stays a zombie for seconds and the next start fails on its
// pid file. It refuses to run as root, so as root it runs as the user postgres,
// who must be able to walk down to the data folder; a folder below /root is
// therefore moved to /var/lib/payonce and the move is announced. Its
// parent-death signal is SIGQUIT, "immediate shutdown", which also ends the
// backends; the next start recovers from the write-ahead log.
//
// RabbitMQ is started by the package's own script, not by the distribution's
// wrapper, which insists on its own user and folders. RUNNING_UNDER_SYSTEMD
// makes that script replace itself by the Erlang VM instead of waiting for it,
// so that the VM is our direct child. A VM that finds no epmd starts one that
// outlives everybody and listens on all interfaces, so epmd is started first,
// as a child of ours, on loopback. Distribution is bound to loopback too.
//
// # A cluster
//
// With Options.Cluster there are three nodes of RabbitMQ and two servers of
// Postgres. The nodes start together and find each other by a list in their
// configuration; they have one epmd and one cookie, and everything else of their
// own. Start returns when each sees all three, because a queue that is declared
// earlier has its replicas on those that were there. A node that is silent for five
// seconds is down for the others, a node that sees no majority stops serving until
// it does, and a queue's leader is put on the node that has the fewest.
//
// Of the two servers one is the primary, and a commit waits until the other has it
// on its disk. Pair.Keep promotes that one when the primary ends and makes the dead
// one its standby, by a fresh copy: what it had and the other had not was never
// acknowledged. Until the copy is there no commit is acknowledged. A file, primary,
// says which is which at the next start.
//
// # A service dies
//
//	postmaster killed     its backends are ended, then Start recovers; same port, same data
//	primary of a pair     its standby is promoted, then it follows that one
//	RabbitMQ killed       durable queues and persistent messages come back with Start
//	launcher killed       the kernel ends both; the next Start removes stale pid files
//	launcher and kernel   Start finds processes by their data folder and ends them
//	both forgot
package devstack
