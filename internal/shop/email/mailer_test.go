package email_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
)

// A shop with its database and the world outside.
type shop struct {
	t     *testing.T
	db    *postgres.DB
	world *worldtest.World
}

func open(t *testing.T, options world.Options) shop {
	t.Helper()
	return shop{t, devtest.Postgres(t), worldtest.Start(t, options)}
}

func (s shop) smtp() *email.SMTP {
	s.t.Helper()
	sender, err := email.NewSMTP(email.SMTPConfig{Addr: s.world.SMTPAddr, From: "tickets@payonce.example"})
	if err != nil {
		s.t.Fatal(err)
	}
	return sender
}

// run starts a mailer and stops it with the test.
func (s shop) run(cfg email.Config) *email.Mailer {
	s.t.Helper()
	cfg.DB = s.db
	if cfg.Sender == nil {
		cfg.Sender = s.smtp()
	}
	if cfg.Poll == 0 {
		cfg.Poll = 20 * time.Millisecond
	}
	m := email.NewMailer(cfg)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Errorf("the mailer ended with: %v", err)
		}
	})
	return m
}

func (s shop) statusIs(payment uuid.UUID, status string) func() bool {
	return func() bool {
		mails := mailsOf(s.t, s.db, payment)
		return len(mails) == 1 && mails[0].Status == status
	}
}

func (s shop) alerts(kind alert.Kind) (open, resolved int) {
	s.t.Helper()
	var row struct{ Open, Resolved int }
	err := s.db.Get(s.t.Context(), &row, `SELECT count(*) FILTER (WHERE state = 'open') AS open,
		count(*) FILTER (WHERE state = 'resolved') AS resolved FROM alerts WHERE kind = $1`, kind.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	return row.Open, row.Resolved
}

var quick = []time.Duration{20 * time.Millisecond, 50 * time.Millisecond}

func TestAQueuedReceiptIsInTheMailboxOnceWithItsMessageID(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	m := s.run(email.Config{Poll: time.Hour})
	payment := newID(t)
	mustHandle(t, s.db, captured(t, payment, "a@example.org"))
	m.Wake()
	until(t, "the receipt is sent", s.statusIs(payment, "sent"))
	got := s.world.Messages("a@example.org")
	if len(got) != 1 || got[0].Deliveries != 1 {
		t.Fatalf("want 1 message delivered once, got %+v", got)
	}
	if want := "<receipt." + event.PaymentName(payment) + "@payonce>"; got[0].MessageID != want {
		t.Errorf("want Message-ID %s, got %s", want, got[0].MessageID)
	}
	if got[0].Subject != "Your receipt: €126.00" {
		t.Errorf("the subject arrived as %q", got[0].Subject)
	}
}

func TestFourMailersShareTwoHundredMailsAndEachIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	var batch []inbox.Message
	for range 200 {
		batch = append(batch, captured(t, newID(t), "a@example.org"))
	}
	mustHandle(t, s.db, batch...)
	for range 4 {
		s.run(email.Config{})
	}
	until(t, "200 mails are sent", func() bool { return s.count("sent") == 200 })
	deliveries := 0
	got := s.world.Messages("a@example.org")
	for _, m := range got {
		deliveries += m.Deliveries
	}
	if len(got) != 200 || deliveries != 200 {
		t.Errorf("want 200 messages in 200 deliveries, got %d in %d", len(got), deliveries)
	}
}

func (s shop) count(status string) int {
	s.t.Helper()
	var n int
	if err := s.db.Get(s.t.Context(), &n, `SELECT count(*) FROM emails WHERE status = $1`, status); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// dies is a mailer's death between the server's 250 and our mark: it never
// comes back from Send.
type dies struct {
	email.Sender
	accepted chan struct{}
	revive   chan struct{}
}

func (d dies) Send(ctx context.Context, m email.Mail) error {
	err := d.Sender.Send(ctx, m)
	close(d.accepted)
	<-d.revive
	return err
}

func TestAMailerThatDiesAfterTheServerAcceptedIsSucceededWithTheSameMessageIDAndTheMailboxShowsOneMail(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	payment := newID(t)
	mustHandle(t, s.db, captured(t, payment, "a@example.org"))
	dead := dies{s.smtp(), make(chan struct{}), make(chan struct{})}
	s.run(email.Config{Sender: dead, Lease: 300 * time.Millisecond, Poll: time.Hour})
	<-dead.accepted
	s.run(email.Config{})
	until(t, "the other mailer took the lease over", s.statusIs(payment, "sent"))
	got := s.world.Messages("a@example.org")
	if len(got) != 1 || got[0].Deliveries != 2 {
		t.Errorf("want 1 message, delivered twice, got %+v", got)
	}
	// The dead one wakes up late and wants to mark: its lease is gone.
	close(dead.revive)
	if mails := mailsOf(t, s.db, payment); mails[0].Attempts != 2 {
		t.Errorf("want 2 tries, got %d", mails[0].Attempts)
	}
}

func TestAMailThatIsRefusedForGoodFailsWithOneAlertAndIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	refused, fine := newID(t), newID(t)
	mustHandle(t, s.db, captured(t, refused, "a@bounce.example"), captured(t, fine, "a@example.org"))
	s.run(email.Config{Schedule: quick})
	until(t, "the refused mail is failed", s.statusIs(refused, "failed"))
	until(t, "the other mail is sent all the same", s.statusIs(fine, "sent"))
	if open, _ := s.alerts(email.AlertFailed); open != 1 {
		t.Errorf("want 1 open alert, got %d", open)
	}
	if got := mailsOf(t, s.db, refused); got[0].Attempts != 1 {
		t.Errorf("want 1 try, got %d", got[0].Attempts)
	}
}

func TestAMailThatIsSentAwayOnceIsTakenTheSecondTime(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	payment := newID(t)
	mustHandle(t, s.db, captured(t, payment, "a@greylist.example"))
	s.run(email.Config{Schedule: quick})
	until(t, "the mail is sent", s.statusIs(payment, "sent"))
	if got := mailsOf(t, s.db, payment); got[0].Attempts != 2 {
		t.Errorf("want 2 tries, got %d", got[0].Attempts)
	}
}

func TestAMailServerThatIsAwayCostsNoMailATryAndItsReturnSendsAllThirty(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.world.Behave(world.Behaviour{MailOutage: "unavailable"})
	var batch []inbox.Message
	for range 30 {
		batch = append(batch, captured(t, newID(t), "a@example.org"))
	}
	mustHandle(t, s.db, batch...)
	s.run(email.Config{Schedule: quick, Batch: 4})
	until(t, "an alert is raised", func() bool { open, _ := s.alerts(email.AlertAway); return open == 1 })
	if s.count("queued") != 30 {
		t.Fatalf("a mail was given up while the server was away")
	}
	s.world.Behave(world.Behaviour{})
	until(t, "30 mails are sent", func() bool { return s.count("sent") == 30 })
	if got := s.world.Messages("a@example.org"); len(got) != 30 {
		t.Errorf("want 30 messages, got %d", len(got))
	}
	var tries int
	if err := s.db.Get(t.Context(), &tries, `SELECT max(attempts) FROM emails`); err != nil {
		t.Fatal(err)
	}
	if tries != 1 {
		t.Errorf("the outage was counted against a mail: %d tries", tries)
	}
	if open, resolved := s.alerts(email.AlertAway); open != 0 || resolved != 1 {
		t.Errorf("want the one alert resolved, got %d open and %d resolved", open, resolved)
	}
}

// notNow takes a mail only when it is told to.
type notNow struct {
	email.Sender
	take *atomic.Bool
}

func (n notNow) Send(ctx context.Context, m email.Mail) error {
	if !n.take.Load() {
		return errors.New("451 not now")
	}
	return n.Sender.Send(ctx, m)
}

func TestAMailThatOutlivesItsScheduleRaisesOneAlertThatEndsWhenItIsSent(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	payment := newID(t)
	mustHandle(t, s.db, captured(t, payment, "a@example.org"))
	reluctant := notNow{s.smtp(), new(atomic.Bool)}
	s.run(email.Config{Sender: reluctant, Schedule: quick})
	until(t, "the alert is raised", func() bool { open, _ := s.alerts(email.AlertLate); return open == 1 })
	reluctant.take.Store(true)
	until(t, "the mail is sent", s.statusIs(payment, "sent"))
	if open, resolved := s.alerts(email.AlertLate); open != 0 || resolved != 1 {
		t.Errorf("want the one alert resolved, got %d open and %d resolved", open, resolved)
	}
}

// The mailbox looks at the shop's sessions while the mailer waits for its 250.
func TestNoTransactionIsOpenWhileAMailIsSent(t *testing.T) {
	t.Parallel()
	var s shop
	var mu sync.Mutex
	var open []string
	looked := 0
	s = shopWithWitness(t, func(db *postgres.DB) {
		var sessions []string
		err := db.Select(context.Background(), &sessions, `SELECT state || ': ' || query FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'`)
		mu.Lock()
		defer mu.Unlock()
		looked++
		open = append(open, sessions...)
		if err != nil {
			open = append(open, err.Error())
		}
	})
	payment := newID(t)
	mustHandle(t, s.db, captured(t, payment, "a@example.org"))
	s.run(email.Config{})
	until(t, "the mail is sent", s.statusIs(payment, "sent"))
	mu.Lock()
	defer mu.Unlock()
	if looked == 0 || len(open) > 0 {
		t.Errorf("looked %d times and saw %v", looked, open)
	}
}

func shopWithWitness(t *testing.T, look func(*postgres.DB)) shop {
	t.Helper()
	db := devtest.Postgres(t)
	outside := worldtest.Start(t, world.Options{OnCall: func(kind string) {
		if kind == "mail" {
			look(db)
		}
	}})
	return shop{t, db, outside}
}

func TestNobodyListeningMeansAway(t *testing.T) {
	t.Parallel()
	sender, err := email.NewSMTP(email.SMTPConfig{Addr: "127.0.0.1:1", From: "tickets@payonce.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), email.Mail{MessageID: "<a@b>", To: "a@example.org", Subject: "s"}); !errors.Is(err, email.ErrAway) {
		t.Errorf("want ErrAway, got %v", err)
	}
}
