package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/stage"
)

// settled is how long a program may take to end.
const settled = 30 * time.Second

func TestWatchGoesOnOverAKilledApiNeitherLosingNorDoublingARow(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	d := beside(t, s)
	b := d.buyer(s)
	cmd := d.command("watch")
	file, err := os.Create(d.dir + "/watched")
	require.NoError(t, err)
	defer file.Close()
	words, err := os.Create(d.dir + "/words")
	require.NoError(t, err)
	defer words.Close()
	cmd.Stdout, cmd.Stderr = file, words
	require.NoError(t, cmd.Start())
	said := func(what string, n int) func() bool {
		return func() bool {
			text, err := os.ReadFile(words.Name())
			require.NoError(t, err)
			return strings.Count(string(text), what) >= n
		}
	}
	eventually(t, "the stream is open", said("live", 1))
	for lives := range 3 {
		c := b.Bought("tok_ok")
		eventually(t, "the payment is seen before the kill", func() bool { return slices.Contains(watched(t, file.Name()).payments, c.PaymentID) })
		// Events that nobody hears of at the time: the relay and the worker go on
		// while the api is dead.
		other := b.Order()
		b.ArmAction("capture.before_response", "kill", other, 0)
		_, _ = b.Capture(t.Context(), other, fmt.Sprintf("K-%d", lives), "tok_ok") // its answer dies with the api
		require.Contains(t, s.API.Ends(settled), "SIGKILL")
		b.Settles(other)
		if lives == 2 {
			// A new api begins to tell 10 s back by itself. What is older comes to
			// those only who say where they were.
			eventually(t, "what nobody heard is old", func() bool {
				return s.Count(`SELECT count(*) FROM activity WHERE at > clock_timestamp() - interval '15 s'`) == 0
			})
		}
		s.API.Start()
		eventually(t, "the line is open again", said("live", lives+2))
	}
	last := b.Bought("tok_ok")
	var seen history
	merchant := read[sandbox](d, 0, "sandbox").MerchantID
	stored := func() (ids []string) {
		const journal = `SELECT id::text FROM activity WHERE 'mer_' || replace(merchant_id::text, '-', '') = $1`
		require.NoError(t, s.DB.Select(t.Context(), &ids, journal, merchant))
		return ids
	}
	eventually(t, "every row of the journal was shown", func() bool {
		seen = watched(t, file.Name())
		for _, id := range stored() {
			if !slices.Contains(seen.ids, id) {
				return false
			}
		}
		return slices.Contains(seen.payments, last.PaymentID)
	})
	require.Greater(t, len(stored()), 50)
	distinct := slices.Compact(slices.Sorted(slices.Values(seen.ids)))
	require.Len(t, seen.ids, len(distinct), "no row twice")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed: the status is known
}

// history is what watch has written so far.
type history struct{ ids, payments []string }

func watched(t *testing.T, name string) (h history) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	whole := text[:strings.LastIndexByte(string(text), '\n')+1]
	for _, line := range strings.Split(strings.TrimSpace(string(whole)), "\n") {
		if line == "" {
			continue
		}
		var a struct {
			ID        string
			PaymentID string `json:"payment_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &a), line)
		h.ids, h.payments = append(h.ids, a.ID), append(h.payments, a.PaymentID)
	}
	return h
}

func TestAClickWhoseApiIsKilledAsksAgainWithItsKeyAndIsChargedOnce(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	s.API.Keep()
	d := beside(t, s)
	d.arm(s, "capture.after_charge", "kill")
	b := read[bought](d, 0, "buy", "--clicks", "1")
	require.Greater(t, b.Clicks[0].Requests, 1, "the first request died with the api")
	require.Equal(t, 200, b.Clicks[0].Status)
	require.Contains(t, b.Verdict.Sentence, "You were charged once.")
	b.once(t)
}

func TestWhatWasSentAgainIsTakenBackWhileTheRelayIsAway(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	d := beside(t, s)
	began := time.Now().Add(-time.Minute)
	b := read[bought](d, 0, "buy")
	type letter struct{ ID, State string }
	poison, err := d.buyer(s).Do(t.Context(), http.MethodPost, "/v1/lab/poison", "", map[string]any{"payment_id": b.Payment.ID, "consumer": "ledger"})
	require.NoError(t, err)
	require.Equal(t, 202, poison.Status, "%s", poison.Body)
	var dead []letter
	eventually(t, "the letter is there", func() bool {
		dead = read[struct{ Data []letter }](d, 0, "dead-letters", "list", "--state", "open").Data
		return len(dead) == 1
	})
	s.Relay.Kill()
	require.Contains(t, s.Relay.Ends(settled), "SIGKILL")
	s.Exec(`DELETE FROM consumer_inbox WHERE consumer = 'tickets'`)

	require.Equal(t, "replayed", read[letter](d, 0, "dead-letters", "replay", dead[0].ID, "--reason", "too early").State)
	require.Equal(t, "open", read[letter](d, 0, "dead-letters", "take-back", dead[0].ID, "--reason", "too early").State)
	r := d.payonce("dead-letters", "take-back", dead[0].ID, "--reason", "again")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "dead-letter-sent")

	command := func(name string) []string {
		return []string{"events", name, "--consumer", "tickets", "--from", began.UTC().Format(time.RFC3339), "--until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "--reason", "purged"}
	}
	again, back := command("resend"), command("take-back")
	sent := read[struct {
		Consumer string
		Queued   int
		Complete bool
	}](d, 0, again...)
	require.Equal(t, "tickets", sent.Consumer)
	require.Equal(t, 1, sent.Queued)
	require.True(t, sent.Complete)
	require.Contains(t, d.payonce(append(back, "--table")...).out, "1 event for tickets taken back")
	r = d.payonce(back...)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "dead-letter-sent")
	require.Equal(t, 2, d.payonce("events", "resend", "--consumer", "tickets").code)
}

func TestAuditAndDoctorExit1WhenSomethingDoesNotHoldAndSayWhat(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	examinesLists(t, s)
	d := beside(t, s)
	b := read[bought](d, 0, "buy")
	require.Equal(t, 0, d.payonce("audit", "--wait", "30s").code)
	require.Equal(t, 0, d.payonce("audit", "--all", "--wait", "30s").code)
	s.Exec(`UPDATE payments SET provider_charge_id = 'ch_other' WHERE 'pay_' || replace(id::text, '-', '') = $1`, b.Payment.ID)
	var r ran
	eventually(t, "the audit, cached for 2 s, sees it", func() bool { r = d.payonce("audit", "--table"); return r.code == 1 })
	require.Contains(t, r.out, "✗ does not hold")
	require.Contains(t, r.out, b.Payment.ID)

	s.Worker.Kill()
	require.Contains(t, s.Worker.Ends(settled), "SIGKILL")
	r = d.payonce("doctor", "--table")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "process worker")
	require.Contains(t, r.out, "does not run")
	require.Contains(t, r.out, "make demo")
}

// Of several nodes that run.json names, the first does not answer.
func examinesLists(t *testing.T, s *stage.Stage) {
	t.Helper()
	several := *s
	several.AMQPURL = "amqp://guest:secret-word@127.0.0.1:1/," + s.AMQPURL
	pg, err := url.Parse(s.DSN)
	require.NoError(t, err)
	several.DSN = fmt.Sprintf("postgres://%s@%s?host=127.0.0.1,%s&port=1,%s&sslmode=disable", pg.User, pg.Path, pg.Hostname(), pg.Port())
	d := beside(t, &several)
	var r ran
	eventually(t, "nothing has failed", func() bool { r = d.payonce("doctor", "--table"); return r.code == 0 })
	require.Contains(t, r.out, "1 of 2 nodes reached")
	require.Contains(t, r.out, "version ")
	require.NotContains(t, r.out+r.err, "secret-word")
}

func TestAnotherCardWaitsForTheOneInDoubtAndIsSentOnlyWhenThatWasNotCharged(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		first, then string
		theirs      bool
		charges     []string
	}{
		{"tok_declined", "tok_ok", false, []string{"declined", "succeeded"}},
		{"tok_ok", "tok_declined", true, []string{"succeeded"}},
	} {
		t.Run(one.first+" then "+one.then, func(t *testing.T) {
			t.Parallel()
			s := stage.Start(t, stage.Options{})
			d := beside(t, s)
			b := d.buyer(s)
			c := b.Order()
			behave := func(mood string) {
				answer, err := s.World().Send(t.Context(), client.Request{Method: http.MethodPost, Path: "/v1/behaviour", Raw: []byte(mood)})
				require.NoError(t, err)
				require.Equal(t, 200, answer.Status, "%s", answer.Body)
			}
			behave(`{"outage":"unavailable","for_ms":120000}`)
			r, err := b.Capture(t.Context(), c, "first", one.first)
			require.NoError(t, err)
			require.Equal(t, 202, r.Status, "%s", r.Body)
			paid := make(chan ran, 1)
			go func() { paid <- d.payonce("buy", "--clicks", "1", "--order", c.OrderID, "--card", one.then) }()
			eventually(t, "the other card is asked for while the first is in doubt", func() bool {
				return s.Count(`SELECT count(*) FROM attempts WHERE status_code = 202 AND idempotency_key <> 'first' AND operation LIKE '%capture%'`) > 0
			})
			behave(`{}`)
			done := <-paid
			require.Equal(t, 0, done.code, "%s%s", done.out, done.err)
			var got bought
			require.NoError(t, json.Unmarshal([]byte(done.out), &got))
			require.Equal(t, one.theirs, got.Clicks[0].OtherCard)
			require.Equal(t, "paid", got.Verdict.Tone)
			var all struct{ Data []struct{ Status string } }
			answer, err := s.World().Send(t.Context(), client.Request{Method: http.MethodGet, Path: "/v1/charges?reference=" + c.PaymentID})
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(answer.Body, &all))
			var charges []string
			for _, charge := range all.Data {
				charges = append(charges, charge.Status)
			}
			require.ElementsMatch(t, one.charges, charges)
			shown := d.payonce("buy", "--clicks", "1", "--order", c.OrderID, "--card", "tok_slow", "--table")
			require.Contains(t, shown.out, "The outcome is an earlier card's; tok_slow was not sent.")
		})
	}
}

func TestMigrateStatusExits1UntilUpHasAppliedEveryMigrationOnce(t *testing.T) {
	t.Parallel()
	d := newTerminal(t)
	dsn := devtest.EmptyDSN(t)
	type schema struct{ Applied, Pending int }
	before := read[schema](d, 1, "migrate", "status", "--dsn", dsn)
	require.Positive(t, before.Pending)
	require.Equal(t, schema{Applied: before.Pending}, read[schema](d, 0, "migrate", "up", "--dsn", dsn))
	require.Equal(t, schema{}, read[schema](d, 0, "migrate", "up", "--dsn", dsn))
	require.Equal(t, schema{}, read[schema](d, 0, "migrate", "status", "--dsn", dsn))
	require.Contains(t, d.payonce("migrate", "status", "--table", "--dsn", dsn).out, "The schema is up to date.")
	require.Equal(t, 2, d.payonce("migrate", "status", "--url", "http://127.0.0.1:1").code)
	require.Equal(t, 1, d.payonce("migrate", "status", "--dsn", "nonsense://").code)
}

func TestWithoutAShopACommandExits3AndTheDoctor1(t *testing.T) {
	t.Parallel()
	d := newTerminal(t)
	r := d.payonce("buy")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.err, "make demo")
	r = d.payonce("doctor")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "make demo")
	for _, help := range [][]string{{}, {"--help"}, {"buy", "--help"}, {"dead-letters", "replay", "--help"}} {
		r := d.payonce(help...)
		require.Equal(t, 0, r.code)
		require.Contains(t, r.out, "Usage: payonce")
	}
}
