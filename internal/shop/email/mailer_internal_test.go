package email

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
)

// post is a mail server that remembers what it took, and does something while
// the mailer waits for its answer.
type post struct {
	took  []Mail
	while func()
	says  error
}

func (p *post) Send(_ context.Context, m Mail) error {
	p.took = append(p.took, m)
	if p.while != nil {
		p.while()
	}
	return p.says
}

func (*post) Close() error { return nil }

func owe(t *testing.T, db *postgres.DB, n int) {
	t.Helper()
	var letters []letter
	for range n {
		name := uuid.NewString()
		letters = append(letters, letter{merchant: uuid.New(), payment: uuid.New(), template: Receipt, businessKey: name, recipient: "a@example.org"})
	}
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return queue(t.Context(), tx, letters) }); err != nil {
		t.Fatal(err)
	}
}

func round(t *testing.T, m *Mailer) counts {
	t.Helper()
	done, err := m.runOnce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestWhoWakesAfterTheLeaseWasTakenOverMarksNothing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	owe(t, db, 1)
	heir := NewMailer(Config{DB: db, Sender: &post{}})
	var taken counts
	sleeper := &post{while: func() {
		for deadline := time.Now().Add(10 * time.Second); taken.leased == 0 && time.Now().Before(deadline); {
			taken = round(t, heir)
		}
	}}
	late := round(t, NewMailer(Config{DB: db, Sender: sleeper, Lease: 50 * time.Millisecond}))
	if taken.sent != 1 {
		t.Errorf("the heir should send it, did %+v", taken)
	}
	if late.sent != 0 || late.lost != 1 {
		t.Errorf("the sleeper should mark nothing, did %+v", late)
	}
}

func TestAFreshLeaseIsNobodyElses(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	owe(t, db, 3)
	other := NewMailer(Config{DB: db, Sender: &post{}})
	busy := &post{while: func() {
		if stolen := round(t, other); stolen.leased != 0 {
			t.Errorf("took %d mails that another mailer has leased", stolen.leased)
		}
	}}
	if done := round(t, NewMailer(Config{DB: db, Sender: busy})); done.sent != 3 {
		t.Errorf("want 3 sent, got %+v", done)
	}
}

func TestNoMailIsBegunInTheSecondHalfOfALease(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	owe(t, db, 3)
	const lease = 200 * time.Millisecond
	slow := &post{}
	slow.while = func() { <-time.After(lease/2 + 10*time.Millisecond) }
	m := NewMailer(Config{DB: db, Sender: slow, Lease: lease})
	if done := round(t, m); done.leased != 3 || done.sent != 1 {
		t.Errorf("want 1 of 3 sent, got %+v", done)
	}
	// The others are due at once, and their tries are theirs again.
	slow.while = nil
	if done := round(t, m); done.sent != 2 {
		t.Errorf("want the other 2 sent, got %+v", done)
	}
	var tries int
	if err := db.Get(t.Context(), &tries, `SELECT max(attempts) FROM emails`); err != nil {
		t.Fatal(err)
	}
	if tries != 1 {
		t.Errorf("want 1 try each, got %d", tries)
	}
}

// database/sql may run a single statement twice; the second run must change
// nothing.
func TestEachSingleStatementRunTwiceEqualsOnce(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	const everything = `SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.id), '[]')::text FROM (
		SELECT id, status, attempts, lease_token, lease_until, next_attempt_at, sent_at, last_error FROM emails) e`
	const alerts = `SELECT coalesce(jsonb_agg(to_jsonb(a) - 'resolved_at' ORDER BY a.id), '[]')::text FROM alerts a`
	owe(t, db, 4)
	m := NewMailer(Config{DB: db, Batch: 2})
	token, other := uuid.New(), uuid.New()
	mine, err := m.lease(t.Context(), token)
	if err != nil || len(mine) != 2 {
		t.Fatalf("leased %d: %v", len(mine), err)
	}
	if _, err := m.lease(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	look := func() (state string) {
		for _, query := range []string{everything, alerts} {
			var part string
			if err := db.Get(t.Context(), &part, query); err != nil {
				t.Fatal(err)
			}
			state += part
		}
		return state
	}
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"mark_sent", func() error { _, err := m.markSent(t.Context(), token, mine[0]); return err }},
		{"give_back", func() error { return m.giveBack(t.Context(), token, mine) }},
	} {
		before := look()
		if err := c.run(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		once := look()
		if once == before {
			t.Errorf("%s: the first run changed nothing", c.name)
		}
		if err := c.run(); err != nil {
			t.Fatalf("%s again: %v", c.name, err)
		}
		if twice := look(); twice != once {
			t.Errorf("%s: the second run changed something:\n%s\n%s", c.name, once, twice)
		}
	}
}

func TestAMailerThatIsToldToStopWhileAMailIsOnItsWayMarksItAndBeginsNoOther(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	owe(t, db, 2)
	ctx, stop := context.WithCancel(t.Context())
	done, err := NewMailer(Config{DB: db, Sender: &post{while: stop}}).runOnce(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if done.leased != 2 || done.sent != 1 {
		t.Errorf("want 1 of 2 sent, got %+v", done)
	}
	if next := round(t, NewMailer(Config{DB: db, Sender: &post{}})); next.sent != 1 {
		t.Errorf("want the other one given back and sent by the next, got %+v", next)
	}
}
