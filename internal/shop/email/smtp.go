package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"payonce/internal/shop/event"
)

// Mail is one mail as it goes out. Two sendings of it are the same bytes.
type Mail struct {
	MessageID string // with its angle brackets
	To        string
	Subject   string
	Body      string
	Date      time.Time
}

// Sender hands mails to a mail server.
type Sender interface {
	// Send returns nil when the server has taken the mail. [ErrRefused] says
	// that it never will, [ErrAway] that it takes no mail from us at present.
	// Any other error leaves it open whether the server has the mail: send
	// the same one again later.
	Send(ctx context.Context, m Mail) error
	// Close gives the connection back. Send opens a new one when needed.
	Close() error
}

// What a [Sender] says when it did not send.
var (
	// ErrRefused says that the server refuses this recipient or this message
	// for good.
	ErrRefused = errors.New("email: the mail server refused it for good")
	// ErrAway says that the trouble is not with this mail: nobody listens, the
	// login fails, the server wants nothing from us. Other mails fare no better.
	ErrAway = errors.New("email: the mail server is away")
)

// SMTP is a [Sender] that keeps one connection. It is not safe for concurrent
// use; each [Mailer] has one of its own.
type SMTP struct {
	client  *gomail.Client
	from    string
	session *smtp.Client
}

// SMTPConfig says which server, and how the way to it is protected.
type SMTPConfig struct {
	Addr     string // host:port
	TLS      string // none, starttls (required, not tried) or tls
	User     string // none when empty
	Password string
	From     string // one address, the sender of every mail
	// Timeout is for connecting, and then again for each mail; 0 means 10 s. A
	// server that accepts later than this is asked to accept the mail again.
	Timeout time.Duration
}

// NewSMTP checks the configuration. It does not connect.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	host, portText, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("email: %q is no host:port", c.Addr)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("email: %q has no port number", c.Addr)
	}
	if _, err := event.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("email: the sender %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	// A NOOP before each mail would ask whether the line is alive; MAIL asks too.
	options := []gomail.Option{gomail.WithTimeout(c.Timeout), gomail.WithoutNoop()}
	switch c.TLS {
	case "none", "":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case "starttls":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case "tls":
		options = append(options, gomail.WithSSL())
	default:
		return nil, fmt.Errorf("email: no way to protect a connection is called %q", c.TLS)
	}
	if c.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(c.User), gomail.WithPassword(c.Password))
	}
	// After WithSSL and WithTLSPolicy, which choose ports of their own.
	options = append(options, gomail.WithPort(port))
	client, err := gomail.NewClient(host, options...)
	if err != nil {
		return nil, err
	}
	return &SMTP{client: client, from: c.From}, nil
}

// Send implements [Sender].
func (s *SMTP) Send(ctx context.Context, m Mail) error {
	message, err := s.compose(m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if s.session == nil {
		s.session, err = s.client.DialToSMTPClientWithContext(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
	}
	err = s.client.SendWithSMTPClient(s.session, message)
	if err == nil {
		return nil
	}
	// What state the conversation is in is anybody's guess: begin a new one.
	_ = s.Close()
	if message.IsDelivered() {
		return nil // the 250 was here; only what came after it failed
	}
	return verdict(err)
}

// compose writes the message. go-mail encodes what headers cannot hold, and
// the recipient is checked once more: it came through a database.
func (s *SMTP) compose(m Mail) (*gomail.Msg, error) {
	if _, err := event.ParseAddress(m.To); err != nil {
		return nil, fmt.Errorf("the recipient %w", err)
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := message.From(s.from); err != nil {
		return nil, err
	}
	if err := message.To(m.To); err != nil {
		return nil, err
	}
	message.Subject(oneLine(m.Subject))
	message.SetGenHeader(gomail.HeaderMessageID, oneLine(m.MessageID))
	message.SetDateWithValue(m.Date.UTC())
	// Nobody answers a machine, and no machine answers this one (RFC 3834).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(gomail.TypeTextPlain, m.Body)
	return message, nil
}

// verdict tells three troubles apart. Only an answer about the recipient or the
// message speaks of the mail itself; a refused greeting, login or sender
// concerns every mail alike, and giving each of them up would lose them all.
func verdict(err error) error {
	var e *gomail.SendError
	if !errors.As(err, &e) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	// go-mail's own text quotes the recipient; an error of ours does not.
	said := fmt.Errorf("%s, code %d %s", e.Reason, e.ErrorCode(), e.EnhancedStatusCode())
	switch e.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		if code := e.ErrorCode(); code >= 500 && code <= 599 {
			return fmt.Errorf("%w: %w", ErrRefused, said)
		}
		return fmt.Errorf("email: not sent: %w", said)
	default: // about the conversation, or something that go-mail learns later
		return fmt.Errorf("%w: %w", ErrAway, said)
	}
}

// Close implements [Sender].
func (s *SMTP) Close() error {
	if s.session == nil {
		return nil
	}
	session := s.session
	s.session = nil
	if err := s.client.CloseWithSMTPClient(session); err != nil {
		return session.Close() // QUIT was not heard: hang up
	}
	return nil
}
