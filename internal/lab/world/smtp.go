package world

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// What the mail server says to a sender. A 4xx means try again, a 5xx never.
var (
	errMailOutage = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2},
		Message: "The mail system is down, try again later"}
	errMailBooks = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0},
		Message: "The message may not be stored, try again later"}
	errNoMailbox = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
		Message: "No such mailbox"}
	errGreylisted = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1},
		Message: "Greylisted, try again"}
)

// Domains whose mailboxes misbehave; everybody else has one.
const (
	bounceDomain   = "@bounce.example"
	greylistDomain = "@greylist.example"
)

const (
	maxMessage    = 1 << 20
	maxRecipients = 100
	storeDeadline = 5 * time.Second
)

// mailServer accepts mail for everybody, from anybody, with or without AUTH.
func (w *World) mailServer() *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{world: w}, nil
	}))
	server.Domain = "world.invalid"
	server.MaxMessageBytes = maxMessage
	server.MaxRecipients = maxRecipients
	server.AllowInsecureAuth = true
	server.EnableSMTPUTF8 = true
	server.ReadTimeout = time.Minute
	server.WriteTimeout = 10 * time.Second
	server.ErrorLog = slog.NewLogLogger(w.options.Logger.Handler(), slog.LevelDebug)
	return server
}

// mailSession is one connection; go-smtp calls it from one goroutine.
type mailSession struct {
	world *World
	from  string
	to    []string
}

// AuthMechanisms offers PLAIN.
func (*mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth believes everybody.
func (*mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error { return nil }), nil
}

// Mail begins a message, unless the mail system is down.
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.world.mood.get(s.world.options.Now()).MailOutage == unavailable {
		return errMailOutage
	}
	s.from = from
	return nil
}

// Rcpt refuses what bounces, and sends greylisted recipients away once.
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	to = cleanText(to)
	domain := strings.ToLower(to[max(strings.LastIndex(to, "@"), 0):])
	if domain == bounceDomain {
		return errNoMailbox
	}
	if domain == greylistDomain {
		ctx, cancel := context.WithTimeout(context.Background(), storeDeadline)
		defer cancel()
		first, err := s.world.letters.greet(ctx, to, s.world.options.Now())
		if err != nil {
			s.world.logUnexpected("greylist", err)
			return errMailBooks
		}
		if first {
			return errGreylisted
		}
	}
	s.to = append(s.to, to)
	return nil
}

// Data answers 250 only after the message is committed. A sender that loses
// that answer sends again, and the mailbox counts one more delivery.
func (s *mailSession) Data(r io.Reader) error {
	s.world.options.OnCall("mail")
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // go-smtp's own: too large, or the line went dead
	}
	s.world.receiving.RLock()
	defer s.world.receiving.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeDeadline)
	defer cancel()
	if err := s.world.letters.store(ctx, parseLetter(raw), s.from, s.to, s.world.options.Now()); err != nil {
		s.world.logUnexpected("store a mail", err)
		return errMailBooks
	}
	return nil
}

// Reset forgets the current message.
func (s *mailSession) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (*mailSession) Logout() error { return nil }
