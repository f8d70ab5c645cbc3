package email_test

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"payonce/internal/shop/email"
)

// A script is a mail server that says one line instead of the usual at one
// step; "" hangs up there.
type script struct {
	step, says string
	data       chan string // what came after DATA
}

func (s script) listen(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(conn)
		}
	}()
	return l.Addr().String()
}

func (s script) talk(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	say := func(step, usual string) bool {
		if s.step == step {
			usual = s.says
		}
		if usual == "" {
			return false
		}
		_, err := conn.Write([]byte(usual + "\r\n"))
		return err == nil
	}
	if !say("greeting", "220 ready") {
		return
	}
	usual := map[string]string{"EHLO": "250 hello", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "RSET": "250 ok", "QUIT": "221 bye"}
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.TrimSpace(line)[:4])
		if !say(verb, usual[verb]) {
			return
		}
		if verb == "DATA" && s.step != "DATA" && !s.take(lines, say) {
			return
		}
	}
}

func (s script) take(lines *bufio.Reader, say func(step, usual string) bool) bool {
	var text strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.data <- text.String()
	return say("accept", "250 taken")
}

func sendTo(t *testing.T, s script, m email.Mail) error {
	t.Helper()
	sender, err := email.NewSMTP(email.SMTPConfig{Addr: s.listen(t), From: "tickets@payonce.example", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Close() }()
	return sender.Send(t.Context(), m)
}

var receipt = email.Mail{
	MessageID: "<receipt.pay_1@payonce>", To: "a@example.org", Subject: "Your receipt: €84.00",
	Body: "Thank you.\n.\n", Date: time.Date(2026, 11, 23, 20, 0, 0, 0, time.FixedZone("here", 3600)),
}

func TestEachAnswerOfAMailServerIsOneOfFourVerdicts(t *testing.T) {
	t.Parallel()
	other := errors.New("another error: the same mail again later")
	for name, c := range map[string]struct {
		step, says string
		want       error
	}{
		"everything is taken":             {"", "", nil},
		"no service":                      {"greeting", "554 go away", email.ErrAway},
		"hangs up at once":                {"greeting", "", email.ErrAway},
		"our sender is refused":           {"MAIL", "550 not you", email.ErrAway},
		"authentication is missing":       {"MAIL", "530 who are you", email.ErrAway},
		"down for now":                    {"MAIL", "421 down", email.ErrAway},
		"hangs up at the sender":          {"MAIL", "", email.ErrAway},
		"the recipient is unknown":        {"RCPT", "550 5.1.1 nobody", email.ErrRefused},
		"the recipient is greylisted":     {"RCPT", "451 later", other},
		"the message is not wanted":       {"DATA", "554 no", email.ErrRefused},
		"the message is spam":             {"accept", "554 5.7.1 spam", email.ErrRefused},
		"the disk is full":                {"accept", "452 later", other},
		"the answer to the text is lost":  {"accept", "", other},
		"it hangs up after it has it all": {"RSET", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sendTo(t, script{c.step, c.says, make(chan string, 1)}, receipt)
			switch {
			case errors.Is(c.want, other):
				if err == nil || errors.Is(err, email.ErrAway) || errors.Is(err, email.ErrRefused) {
					t.Errorf("want an error that is neither, got %v", err)
				}
			default:
				if !errors.Is(err, c.want) {
					t.Errorf("want %v, got %v", c.want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), receipt.To) {
				t.Errorf("the error quotes the recipient: %v", err)
			}
		})
	}
}

func TestTwoSendingsOfOneMailAreTheSameBytes(t *testing.T) {
	t.Parallel()
	s := script{data: make(chan string, 2)}
	for range 2 {
		if err := sendTo(t, s, receipt); err != nil {
			t.Fatal(err)
		}
	}
	first, second := <-s.data, <-s.data
	if first != second {
		t.Errorf("the twin differs:\n%s\n----\n%s", first, second)
	}
	for _, want := range []string{"Message-ID: <receipt.pay_1@payonce>\r\n", "Date: Mon, 23 Nov 2026 19:00:00 +0000\r\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in:\n%s", want, first)
		}
	}
}

func TestASubjectWithLineBreaksAddsNoHeader(t *testing.T) {
	t.Parallel()
	s := script{data: make(chan string, 1)}
	planted := receipt
	planted.Subject = "Hello\r\nBcc: all@example.org\r\n\r\nBuy"
	planted.MessageID = "<a@payonce>\r\nX-Planted: yes"
	if err := sendTo(t, s, planted); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(<-s.data, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if strings.HasPrefix(line, "Bcc") || strings.HasPrefix(line, "X-Planted") {
			t.Errorf("planted header: %s", line)
		}
	}
	planted.To = "a@example.org\r\nRCPT TO:<b@example.org>"
	if err := sendTo(t, script{data: make(chan string, 1)}, planted); !errors.Is(err, email.ErrRefused) {
		t.Errorf("want the recipient refused, got %v", err)
	}
}
