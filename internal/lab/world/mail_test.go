package world_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"payonce/internal/lab/world"
)

// letterTo is a small receipt; an empty id sends no Message-ID.
func letterTo(to, id, subject, text string) string {
	head := "From: shop@payonce.example\r\nTo: " + to + "\r\nSubject: " + subject + "\r\n"
	if id != "" {
		head += "Message-ID: <" + id + ">\r\n"
	}
	return head + "\r\n" + text + "\r\n"
}

// mail sends one message over a connection of its own.
func (s shop) mail(raw string, to ...string) error {
	s.t.Helper()
	client, err := smtp.Dial(s.SMTPAddr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	return client.SendMail("shop@payonce.example", to, strings.NewReader(raw))
}

func (s shop) mustMail(raw string, to ...string) {
	s.t.Helper()
	if err := s.mail(raw, to...); err != nil {
		s.t.Fatal(err)
	}
}

// refusedWith fails unless err is SMTP's answer with that code.
func refusedWith(t *testing.T, err error, code int) {
	t.Helper()
	var said *smtp.SMTPError
	if !errors.As(err, &said) || said.Code != code {
		t.Fatalf("got %v, want %d", err, code)
	}
}

func TestOneMessageIDThreeTimesIsOneMessageWithThreeDeliveries(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for range 3 {
		s.mustMail(letterTo("ada@example.org", "receipt.pay_1@payonce", "Your receipt", "Thank you."), "ada@example.org")
	}
	s.mustMail(letterTo("ada@example.org", "receipt.pay_2@payonce", "Your receipt", "Thank you."), "ada@example.org")
	found := s.Messages("ada@example.org")
	if len(found) != 2 || found[0].MessageID != "<receipt.pay_2@payonce>" || found[0].Deliveries != 1 || found[1].Deliveries != 3 {
		t.Fatalf("mailbox %+v, want two messages, newest first, delivered once and three times", found)
	}
	m := found[1]
	if m.From != "shop@payonce.example" || m.To != "ada@example.org" || m.Subject != "Your receipt" || m.Text != "Thank you.\r\n" || m.ReceivedAt == "" {
		t.Errorf("message %+v", m)
	}
	if got := s.must("GET", "/mailbox/messages/"+m.ID, ""); decode[world.Message](t, got.body) != m {
		t.Errorf("by id: %s", got.body)
	}
}

func TestTwentyDeliveriesAtOnceAreOneMessageWithTwentyDeliveries(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := s.mail(letterTo("a@example.org", "m@payonce", "s", "t"), "a@example.org", "b@example.org"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, to := range []string{"a@example.org", "b@example.org"} {
		if found := s.Messages(to); len(found) != 1 || found[0].Deliveries != 20 {
			t.Errorf("%s has %+v", to, found)
		}
	}
}

func TestAMailIsFoundByAddressInAnyCaseAndByMessageIDWithOrWithoutBrackets(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.mustMail(letterTo("Ada@Example.org", "m1@payonce", "s", "t"), "Ada@Example.org")
	s.mustMail(letterTo("bob@example.org", "m2@payonce", "s", "t"), "bob@example.org")
	for query, want := range map[string]int{
		"": 2, "to=ada@example.org": 1, "to=ADA@EXAMPLE.ORG": 1, "to=nobody@example.org": 0,
		"message_id=m1@payonce": 1, "message_id=%3Cm1@payonce%3E": 1, "message_id=m3@payonce": 0,
		"to=bob@example.org&message_id=m1@payonce": 0, "limit=1": 1, "to=%00": 0,
	} {
		got := s.must("GET", "/mailbox/messages?"+query, "")
		if n := len(decode[struct{ Data []world.Message }](t, got.body).Data); got.status != 200 || n != want {
			t.Errorf("?%s: %d with %d messages, want %d", query, got.status, n, want)
		}
	}
}

func TestWithoutAMessageIDNothingIsDeduped(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for range 2 {
		s.mustMail(letterTo("a@example.org", "", "s", "t"), "a@example.org")
	}
	if found := s.Messages("a@example.org"); len(found) != 2 {
		t.Errorf("%d messages, want 2", len(found))
	}
}

func TestBounceExampleIsRefusedFor550AndGreylistExampleOnceWith451(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for range 2 {
		refusedWith(t, s.mail(letterTo("x@bounce.example", "b@payonce", "s", "t"), "x@Bounce.Example"), 550)
	}
	for _, to := range []string{"x@greylist.example", "y@greylist.example"} {
		raw := letterTo(to, "g."+to, "s", "t")
		refusedWith(t, s.mail(raw, to), 451)
		s.mustMail(raw, to)
		if found := s.Messages(to); len(found) != 1 || found[0].Deliveries != 1 {
			t.Errorf("%s has %+v", to, found)
		}
	}
	if found := s.Messages("x@bounce.example"); len(found) != 0 {
		t.Errorf("a bounced mail was kept: %+v", found)
	}
}

func TestAMailOutageIs451AndEndsWithTheMood(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	raw := letterTo("a@example.org", "m@payonce", "s", "t")
	s.Behave(world.Behaviour{MailOutage: "unavailable"})
	refusedWith(t, s.mail(raw, "a@example.org"), 451)
	s.Behave(world.Behaviour{})
	s.mustMail(raw, "a@example.org")
}

func TestAuthIsAcceptedAndNotNeeded(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	client, err := smtp.Dial(s.SMTPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Auth(sasl.NewPlainClient("", "anybody", "anything")); err != nil {
		t.Fatal(err)
	}
	raw := letterTo("a@example.org", "m@payonce", "s", "t")
	if err := client.SendMail("shop@payonce.example", []string{"a@example.org"}, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	if found := s.Messages("a@example.org"); len(found) != 1 {
		t.Errorf("%d messages, want 1", len(found))
	}
}

func TestAMessageOverOneMebibyteIs552AndNotKept(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	line := strings.Repeat("x", 100) + "\r\n"
	raw := letterTo("a@example.org", "big@payonce", "s", strings.Repeat(line, 1<<20/len(line)+1))
	refusedWith(t, s.mail(raw, "a@example.org"), 552)
	s.mustMail(letterTo("a@example.org", "fits@payonce", "s", strings.Repeat(line, 1<<20/len(line)-5)), "a@example.org")
	if found := s.Messages("a@example.org"); len(found) != 1 || found[0].MessageID != "<fits@payonce>" {
		t.Errorf("mailbox has %d messages", len(found))
	}
}

func TestTheHookHearsDATAWhileTheSenderWaits(t *testing.T) {
	t.Parallel()
	heard, proceed := make(chan string), make(chan bool)
	s := open(t, world.Options{OnCall: func(kind string) {
		if kind == "mail" {
			heard <- kind
			<-proceed
		}
	}})
	sent := make(chan error, 1)
	go func() { sent <- s.mail(letterTo("a@example.org", "m@payonce", "s", "t"), "a@example.org") }()
	soon(t, heard)
	if found := s.Messages("a@example.org"); len(found) != 0 {
		t.Error("the mail was stored before the hook was done")
	}
	proceed <- true
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestEveryWayOfWritingATextIsRead(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	parts := "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
		"--i\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n--i\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nZ3LDvMOfZQ==\r\n--i--\r\n--o--\r\n"
	for name, mail := range map[string]struct{ raw, subject, text string }{
		"plain":             {"Subject: s\r\n\r\nhello", "s", "hello\r\n"},
		"quoted-printable":  {"Subject: =?UTF-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9Fe =E2=82=AC", "grüße", "grüße €\r\n"},
		"multipart":         {parts, "", "grüße"},
		"html only":         {"Content-Type: text/html\r\n\r\n<b>yes</b>", "", "<b>yes</b>\r\n"},
		"no header at all":  {"just bytes", "", "just bytes\r\n"},
		"broken UTF-8, NUL": {"Subject: s\r\n\r\na\xffb\x00c", "s", "a\uFFFDb\uFFFDc\r\n"},
		"empty multipart":   {"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--", "", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n"},
	} {
		to := fmt.Sprintf("%s@example.org", strings.Map(letterOnly, name))
		s.mustMail(mail.raw, to)
		found := s.Messages(to)
		if len(found) != 1 || found[0].Subject != mail.subject || found[0].Text != mail.text {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func letterOnly(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}
