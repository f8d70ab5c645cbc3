// Package program is the one room that builds, starts, keeps, kills and awaits
// the programs of the shop: the demo, the end-to-end tests, the campaigns and
// the measurements all run them through here.
//
// [Builds.Make] builds them from the working tree, or takes the folder that
// PAYONCE_BIN names: `make test` builds once for all its stages. With
// PAYONCE_OVERLAY, a `go build -overlay` file, a planted bug gets into the
// programs without touching the tree; then they are always built.
//
// [Settings] configure the programs of one house. A [Program] is one of them at
// its place: it may be killed and started again, and comes back where it was.
// [Keeper] starts it again whenever it ends.
//
// Every process is a child that cannot outlive this one (package proc).
package program
