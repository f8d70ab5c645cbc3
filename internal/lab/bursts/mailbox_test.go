package bursts_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/smtp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
)

func send(t *testing.T, w *worldtest.World, to, id string) {
	t.Helper()
	raw := fmt.Sprintf("From: a@example.org\r\nTo: %s\r\nSubject: s\r\nMessage-ID: <%s>\r\n\r\ntext of %s\r\n", to, id, id)
	require.NoError(t, smtp.SendMail(w.SMTPAddr, nil, "a@example.org", []string{to}, []byte(raw)))
}

func TestThreeDeliveriesOfOneMailAreOneMessageAndTheNewestComesFirst(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	for _, id := range []string{"one@payonce", "one@payonce", "two@payonce", "one@payonce"} {
		send(t, w, "ada@example.org", id)
	}
	client := bursts.NewMailbox(w.URL + "/")
	var all []audit.Mail
	require.NoError(t, client.EachMail(t.Context(), func(m audit.Mail) error {
		all = append(all, m)
		return nil
	}))
	require.Len(t, all, 2)
	require.Equal(t, "<two@payonce>", all[0].MessageID)
	require.Equal(t, 3, all[1].Deliveries)
	require.Equal(t, "ada@example.org", all[1].To)
	require.Contains(t, all[1].Text, "text of one@payonce")
	require.WithinDuration(t, time.Now(), all[1].ReceivedAt, time.Minute)

	found, err := client.MailsByMessageID(t.Context(), "<one@payonce>")
	require.NoError(t, err)
	require.Equal(t, all[1:], found)
	found, err = client.MailsByMessageID(t.Context(), "<three@payonce>")
	require.NoError(t, err)
	require.Empty(t, found)
}

// More than the longest page of the mailbox holds, for one address and under one id.
func TestEachListOfMailsIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	db, err := sql.Open("postgres", w.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	for _, columns := range []string{"'<one@payonce>', 'r' || n", "'<' || n || '@payonce>', 'ada@example.org'"} {
		_, err = db.ExecContext(t.Context(), `INSERT INTO mail_messages (id, message_id, recipient, sender, subject, body_text, deliveries, received_at)
			SELECT gen_random_uuid()::text, `+columns+`, 's', 's', 't', 1, now() FROM generate_series(1, 1001) n`)
		require.NoError(t, err)
	}
	client := bursts.NewMailbox(w.URL)
	one, err := client.MailsByMessageID(t.Context(), "<one@payonce>")
	require.NoError(t, err)
	ada, err := client.MailsTo(t.Context(), "ada@example.org")
	require.NoError(t, err)
	n := 0
	require.NoError(t, client.EachMail(t.Context(), func(audit.Mail) error { n++; return nil }))
	require.Equal(t, []int{1001, 1001, 2002}, []int{len(one), len(ada), n})
}

func TestEachMailEndsWithTheErrorOfWhoeverHasSeenEnough(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	send(t, w, "a@example.org", "one@payonce")
	send(t, w, "a@example.org", "two@payonce")
	enough, n := errors.New("enough"), 0
	require.ErrorIs(t, bursts.NewMailbox(w.URL).EachMail(t.Context(), func(audit.Mail) error {
		n++
		return enough
	}), enough)
	require.Equal(t, 1, n)
}

func TestAWorldThatIsAwayIsAnErrorAndNotAnEmptyMailbox(t *testing.T) {
	t.Parallel()
	away := bursts.NewMailbox("http://127.0.0.1:1")
	require.Error(t, away.EachMail(context.Background(), func(audit.Mail) error { return nil }))
	_, err := away.MailsByMessageID(context.Background(), "<a@b>")
	require.Error(t, err)
}
