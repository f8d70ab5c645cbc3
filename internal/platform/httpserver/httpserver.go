// Package httpserver is how every process serves HTTP: with deadlines for what a
// client sends and reads, and with a bound on the connections of one address. A
// client that sends a byte each five seconds, or reads nothing, would otherwise
// hold a connection and its memory for as long as it likes.
package httpserver

import (
	"cmp"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound what a client can hold. A zero value gets its default.
type Limits struct {
	Header time.Duration // from a connection's first byte to the end of the headers
	Read   time.Duration // and to the end of the body. net/http lets go of it when the body has arrived
	Write  time.Duration // from the end of the headers to the end of the answer. Streams move theirs
	Idle   time.Duration // between two requests of a connection
	// Connections is how many one address holds at a time. An IPv6 address counts as
	// its /64. Less than nothing is no bound.
	Connections int
	// Free are networks of our own, whose addresses are not bounded: proxies.
	Free []*net.IPNet
}

// What a limit is where nothing else is said.
const (
	DefaultHeader      = 5 * time.Second
	DefaultRead        = 10 * time.Second
	DefaultWrite       = time.Minute
	DefaultIdle        = 2 * time.Minute
	DefaultConnections = 2000
)

func (l Limits) withDefaults() Limits {
	l.Header, l.Read = cmp.Or(l.Header, DefaultHeader), cmp.Or(l.Read, DefaultRead)
	l.Write, l.Idle = cmp.Or(l.Write, DefaultWrite), cmp.Or(l.Idle, DefaultIdle)
	l.Connections = cmp.Or(l.Connections, DefaultConnections)
	return l
}

// Server is net/http's with the deadlines, and with the bound on connections.
type Server struct {
	*http.Server
	limits Limits
	log    *slog.Logger
}

// Serve is net/http's, and closes at once what an address opens beyond its limit.
func (s *Server) Serve(l net.Listener) error {
	return s.Server.Serve(lengths{bounded(l, s.limits, s.log)})
}

// New makes a server of h. What net/http complains of clients goes to log as debug
// lines; nil is silence.
func New(h http.Handler, l Limits, log *slog.Logger) *Server {
	l = l.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{limits: l, log: log, Server: &http.Server{
		Handler: lastInChunks(h), ReadHeaderTimeout: l.Header, ReadTimeout: l.Read, WriteTimeout: l.Write, IdleTimeout: l.Idle,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// lastInChunks makes a request whose body comes in chunks the last of its connection:
// nothing reads what follows the chunks as another request, whatever a proxy before this
// server took it for. HTTP/1.0 has no chunks: there net/http drops the Transfer-Encoding.
func lastInChunks(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
