package main

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// mailbox is a mail server that takes everything and keeps nothing.
type mailbox struct {
	server  *smtp.Server
	address string
	got     atomic.Int64
}

func newMailbox() (*mailbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens for as long as the line takes
	if err != nil {
		return nil, err
	}
	m := &mailbox{address: listener.Addr().String()}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return visit{m}, nil }))
	m.server.Domain, m.server.ReadTimeout, m.server.WriteTimeout = "bench.invalid", time.Minute, time.Minute
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

// visit is one connection.
type visit struct{ to *mailbox }

// Mail begins a message.
func (visit) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt takes any recipient.
func (visit) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data counts the message.
func (v visit) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	v.to.got.Add(1)
	return err
}

// Reset forgets a message that was begun.
func (visit) Reset() {}

// Logout ends the connection.
func (visit) Logout() error { return nil }
