// Package httpserver is how every process serves HTTP: with deadlines for what a
// client sends and reads, and with a bound on the connections of one address. A
// client that sends a byte each five seconds, or reads nothing, would otherwise
// hold a connection and its memory for as long as it likes.
package httpserver

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound what a client can hold. A zero value gets its default.
type Limits struct {
	Header time.Duration // from a connection's first byte to the end of the headers; 5 s
	Read   time.Duration // and to the end of the body; 10 s. net/http lets go of it when the body has arrived
	Write  time.Duration // from the end of the headers to the end of the answer; 1 min. Streams move theirs
	Idle   time.Duration // between two requests of a connection; 2 min
	// Connections is how many one address holds at a time; 2,000. An IPv6 address
	// counts as its /64. Less than nothing is no bound.
	Connections int
	// Free are networks of our own, whose addresses are not bounded: proxies.
	Free []*net.IPNet
}

func (l Limits) withDefaults() Limits {
	for _, one := range []struct {
		limit   *time.Duration
		instead time.Duration
	}{{&l.Header, 5 * time.Second}, {&l.Read, 10 * time.Second}, {&l.Write, time.Minute}, {&l.Idle, 2 * time.Minute}} {
		if *one.limit == 0 {
			*one.limit = one.instead
		}
	}
	if l.Connections == 0 {
		l.Connections = 2000
	}
	return l
}

// Server is net/http's with the deadlines, and with the bound on connections.
type Server struct {
	*http.Server
	limits Limits
	log    *slog.Logger
}

// Serve is net/http's, and closes at once what an address opens beyond its limit.
func (s *Server) Serve(l net.Listener) error { return s.Server.Serve(bounded(l, s.limits, s.log)) }

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

// lastInChunks makes a request whose body comes in chunks the last of its connection.
// It may have carried a Content-Length too: net/http reads the chunks, as RFC 9112 6.3
// says, and drops the length before a handler sees it, so which of them did cannot be
// told here. A proxy that believed the length would take what follows the chunks for a
// part of this body; nothing here reads it as another request. HTTP/1.0 has no chunks:
// there net/http drops the Transfer-Encoding instead.
func lastInChunks(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
