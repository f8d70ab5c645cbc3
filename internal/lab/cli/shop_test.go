package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/runfile"
	"payonce/internal/lab/stage"
	"payonce/internal/platform/postgres"
)

// One shop for all of them: each terminal has a sandbox of its own.
func TestOnARunningShop(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	for name, test := range map[string]func(t *testing.T, d *terminal, s *stage.Stage){
		"two clicks are one charge, in the sentence of the page":              twoClicks,
		"seven fresh keys are one charge, six absorbed by the payment itself": sevenKeys,
		"a declined card is exit 1 and the reason":                            declined,
		"a lost answer is waited for on the same key":                         lostAnswer,
		"after a decline another card pays the same order":                    anotherCard,
		"fifty clicks from outside are one charge":                            fiftyClicks,
		"the sandbox is kept for its owner's eyes, and taken from a browser":  keptSandbox,
		"a refund shows its saga, and a refused one is exit 1":                refunds,
		"a dead letter is shown, replayed and discarded with a reason":        deadLetters,
		"bad input is said with its place, its remedy and its exit code":      badInput,
		"every other command's JSON is parsed":                                otherJSON,
		"a lesson is run, or the shop says that it has none":                  aLesson,
		"the doctor finds nothing wrong":                                      healthy,
		"on a pipe tables hold no colours":                                    tables,
		"hostile text is shown as text":                                       hostile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, beside(t, s), s)
		})
	}
}

func twoClicks(t *testing.T, d *terminal, s *stage.Stage) {
	b := read[bought](d, 0, "buy")
	require.Equal(t, "You clicked 2 times. You were charged once.", b.Verdict.Sentence)
	require.Equal(t, "captured", b.Payment.Status)
	require.Len(t, b.Attempts, 2)
	require.Len(t, b.Clicks, 2)
	b.once(t)
	// The next command sees the same rows, and so does the API.
	again := read[bought](d, 0, "proof", b.Payment.ID)
	require.Equal(t, "The shop was asked 2 times. You were charged once.", again.Verdict.Sentence)
	api := d.buyer(s)
	eventually(t, "the API's proof, once it is at rest, is the one shown", func() bool {
		before := api.Get("/v1/payments/" + b.Payment.ID + "/proof").Body
		shown := read[bought](d, 0, "proof", b.Payment.ID).Proof
		after := api.Get("/v1/payments/" + b.Payment.ID + "/proof").Body
		if !bytes.Equal(before, after) {
			return false // a delivery was written down in between
		}
		require.JSONEq(t, string(after), string(shown))
		return true
	})
}

func sevenKeys(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 0, "buy", "--clicks", "7", "--keys", "fresh")
	require.Equal(t, "You clicked 7 times. You were charged once.", b.Verdict.Sentence)
	matched := 0
	for _, click := range b.Clicks {
		require.Equal(t, 200, click.Status)
		if click.Matched {
			matched++
		}
	}
	require.Equal(t, 6, matched)
	b.once(t)
}

func declined(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 1, "buy", "--card", "tok_declined")
	require.Equal(t, "You clicked 2 times. Declined: insufficient funds. You were not charged.", b.Verdict.Sentence)
	require.Zero(t, b.effects(t).Charges)
	require.Zero(t, b.effects(t).Tickets)
}

func lostAnswer(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 0, "buy", "--clicks", "1", "--card", "tok_timeout_after")
	require.Equal(t, "You clicked once. You were charged once.", b.Verdict.Sentence)
	require.Equal(t, 202, b.Clicks[0].Status)
	b.once(t)
}

func anotherCard(t *testing.T, d *terminal, _ *stage.Stage) {
	first := read[bought](d, 1, "buy", "--clicks", "1", "--card", "tok_declined")
	b := read[bought](d, 0, "buy", "--clicks", "1", "--order", first.Order.ID)
	require.Equal(t, first.Payment.ID, b.Payment.ID)
	require.Equal(t, "The shop was asked 2 times. You were charged once.", b.Verdict.Sentence)
	require.False(t, b.Clicks[0].OtherCard)
	b.once(t)
	require.NotContains(t, d.payonce("buy", "--order", first.Order.ID, "--table").out, "earlier card")
}

func fiftyClicks(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[struct {
		bought
		Burst struct {
			Statuses map[string]int
			Replayed int
		}
	}](d, 0, "burst", "--attempts", "50")
	require.Equal(t, "The gateway tried 50 times. You were charged once.", b.Verdict.Sentence)
	require.Equal(t, map[string]int{"200": 50}, b.Burst.Statuses)
	require.Equal(t, 49, b.Burst.Replayed)
	require.Len(t, b.Attempts, 50)
	b.once(t)
	// A payment that is there already is clicked for again.
	b.bought = read[bought](d, 0, "burst", b.Payment.ID, "--attempts", "10", "--keys", "fresh")
	require.Equal(t, "The gateway tried 60 times. You were charged once.", b.Verdict.Sentence)
}

func keptSandbox(t *testing.T, d *terminal, s *stage.Stage) {
	mine := read[sandbox](d, 0, "sandbox")
	require.Equal(t, mine, read[sandbox](d, 0, "sandbox"), "the second command makes no other")
	info, err := os.Stat(filepath.Join(d.dir, runfile.Folder, "cli.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	browser := s.Buyer()
	c := browser.Bought("tok_ok")
	require.Equal(t, 1, d.payonce("proof", c.PaymentID).code, "another one's payment")
	require.Equal(t, browser.MerchantID, read[sandbox](d, 0, "sandbox", "--use", browser.APIKey).MerchantID)
	require.Equal(t, "captured", read[bought](d, 0, "proof", c.PaymentID).Payment.Status)
	require.NotEqual(t, browser.MerchantID, read[sandbox](d, 0, "sandbox", "--new").MerchantID)

	// A shop with another secret knows no key of yesterday's.
	file := filepath.Join(d.dir, runfile.Folder, "cli.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), `"sk_test_`, `"sk_test_0`)), 0o600))
	r := d.payonce("sandbox")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.err, "no longer knows the sandbox")
}

func refunds(t *testing.T, d *terminal, _ *stage.Stage) {
	type refunded struct {
		Refund struct{ ID, Status string }
		Saga   struct {
			State string
			Steps []struct{ Name, Direction, Status string }
		}
	}
	b := read[bought](d, 0, "buy")
	done := read[refunded](d, 0, "refund", b.Payment.ID, "--amount", "4200")
	require.Equal(t, "succeeded", done.Refund.Status)
	require.Equal(t, "completed", done.Saga.State)
	require.NotEmpty(t, done.Saga.Steps)
	r := d.payonce("refund", b.Payment.ID, "--amount", "4201")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "refund-exceeds-captured")

	b = read[bought](d, 0, "buy", "--card", "tok_refund_declined")
	refused := read[refunded](d, 1, "refund", b.Payment.ID)
	require.Equal(t, "failed", refused.Refund.Status)
	require.Equal(t, "compensated", refused.Saga.State)
	r = d.payonce("refund", b.Payment.ID, "--table")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "pivot: no way back")
	require.Contains(t, r.out, "Nothing went back: ")
}

func deadLetters(t *testing.T, d *terminal, s *stage.Stage) {
	require.Contains(t, d.payonce("dead-letters", "--table").out, "No dead letters.")
	type letter struct{ ID, State, Consumer string }
	type list struct{ Data []letter }
	b := read[bought](d, 0, "buy")
	poison, err := d.buyer(s).Do(context.Background(), http.MethodPost, "/v1/lab/poison", "", map[string]any{"payment_id": b.Payment.ID, "consumer": "ledger"})
	require.NoError(t, err)
	require.Equal(t, 202, poison.Status, "%s", poison.Body)
	var found letter
	open := func() bool {
		all := read[list](d, 0, "dead-letters", "list", "--state", "open").Data
		if len(all) == 1 {
			found = all[0]
		}
		return len(all) == 1
	}
	eventually(t, "the letter is there", open)
	require.Equal(t, "ledger", found.Consumer)
	require.Contains(t, d.payonce("dead-letters", "--table").out, found.ID)
	require.NotEmpty(t, read[struct{ Payload string }](d, 0, "dead-letters", "show", found.ID).Payload)
	require.NotEmpty(t, read[list](d, 0, "dead-letters", "list", "--all").Data)

	require.Equal(t, "replayed", read[letter](d, 0, "dead-letters", "replay", found.ID, "--reason", "looked at").State)
	eventually(t, "it dies again", open)
	require.Equal(t, "discarded", read[letter](d, 0, "dead-letters", "discard", found.ID, "--reason", "made for a test").State)
	r := d.payonce("dead-letters", "replay", found.ID, "--reason", "too late")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "dead-letter-closed")
	shown := d.payonce("dead-letters", "show", found.ID, "--table").out
	require.Contains(t, shown, "made for a test")
	require.Contains(t, shown, "looked at")
}

func badInput(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 0, "buy")
	for _, one := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"buy", "--card", "tok_nobody_knows"}, 1, []string{"You were not charged."}},
		{[]string{"buy", "--card", "4242 4242"}, 1, []string{"Invalid request", "/card_token", "What to do:", "request id"}},
		{[]string{"buy", "--sku", "concert-z"}, 1, []string{"Unknown item"}},
		{[]string{"buy", "--email", "nowhere"}, 1, []string{"/email"}},
		{[]string{"buy", "--quantity", "0"}, 1, []string{"/items/0/quantity"}},
		{[]string{"buy", "--clicks", "0"}, 2, []string{"--clicks must be 1 … 100"}},
		{[]string{"buy", "--keys", "none"}, 2, []string{"--keys"}},
		{[]string{"buy", "--order", b.Order.ID, "--quantity", "3"}, 2, []string{"--order", "--quantity"}},
		{[]string{"buy", "--order", b.Order.ID, "--email", "a@example.org"}, 2, []string{"--order", "--email"}},
		{[]string{"buy", "--order", "ord_00000000000000000000000000000000"}, 1, []string{"Not found"}},
		{[]string{"burst", "--attempts", "101"}, 2, []string{"--attempts must be 1 … 100"}},
		{[]string{"burst", "pay_00000000000000000000000000000000"}, 1, []string{"Not found"}},
		{[]string{"proof", "pay_00000000000000000000000000000000"}, 1, []string{"Not found", "What to do:"}},
		{[]string{"proof", "../../healthz"}, 1, []string{"Not found"}},
		{[]string{"watch", "pay_no"}, 1, []string{"Not found"}},
		{[]string{"refund", b.Payment.ID, "--amount", "-1"}, 2, []string{"--amount"}},
		{[]string{"dead-letters", "replay", "dlt_x"}, 2, []string{"--reason"}},
		{[]string{"dead-letters", "show", "dlt_00000000000000000000000000000000"}, 1, []string{"Not found"}},
		{[]string{"proof", b.Payment.ID, "--api-key", "sk_test_forged"}, 1, []string{"Authentication required"}},
		{[]string{"audit", "--all", "--operator-token", "wrong"}, 1, []string{"Authentication required"}},
		{[]string{"audit", "--all", "--url", "http://127.0.0.1:1"}, 2, []string{"--operator-token"}},
		{[]string{"audit", "--url", "http://127.0.0.1:1"}, 3, []string{"nobody answers", "payonce doctor"}},
		{[]string{"watch", "--url", "http://127.0.0.1:1", "--api-key", "k"}, 3, []string{"nobody answers"}},
		{[]string{"sell"}, 2, []string{"sell"}},
		{[]string{"audit", "--json", "--table"}, 2, []string{"--json"}},
	} {
		args := one.args
		if one.code != 2 {
			args = append(args, "--table")
		}
		r := d.payonce(args...)
		require.Equal(t, one.code, r.code, "%v: %s%s", args, r.out, r.err)
		for _, words := range one.says {
			require.Contains(t, r.out+r.err, words, "%v", args)
		}
	}
	// A program reads the same as JSON, on standard error.
	r := d.payonce("proof", "pay_no")
	require.Empty(t, r.out)
	var c struct {
		Title, Detail, Remedy string
		Problem               struct{ Type string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.err), &c), r.err)
	require.Equal(t, "/problems/not-found", c.Problem.Type)
	require.NotEmpty(t, c.Remedy)
}

func otherJSON(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 0, "buy")
	audit := read[struct {
		Ok         bool
		Invariants []struct{ ID string }
	}](d, 0, "audit", "--wait", "30s")
	require.True(t, audit.Ok)
	require.NotEmpty(t, audit.Invariants)
	require.True(t, strings.Contains(d.payonce("audit", "--table", "--wait", "30s").out, "All "))
	state := read[struct {
		Pending    int
		Migrations []struct{ Name string }
	}](d, 0, "migrate", "status")
	require.Zero(t, state.Pending)
	require.NotEmpty(t, state.Migrations)

	// One object on each line, as they come.
	watching := make(chan ran, 1)
	go func() { watching <- d.payonce("watch", b.Payment.ID, "--count", "3", "--for", "1m") }()
	eventually(t, "three events of a payment that is clicked for again", func() bool {
		d.payonce("burst", b.Payment.ID, "--attempts", "3")
		return len(watching) == 1
	})
	r := <-watching
	require.Equal(t, 0, r.code, r.err)
	require.Len(t, lines(r.out), 3)
	for _, line := range lines(r.out) {
		var a struct {
			ID, Kind  string
			PaymentID string `json:"payment_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &a), line)
		require.Equal(t, b.Payment.ID, a.PaymentID)
	}
}

func aLesson(t *testing.T, d *terminal, _ *stage.Stage) {
	r := d.payonce("lesson", "list", "--table")
	if r.code != 0 {
		require.Equal(t, 1, r.code)
		require.Contains(t, r.err, "this shop has no lessons: it is not a lab build")
		require.Equal(t, 1, d.payonce("lesson", "run", "double-click").code)
		return
	}
	require.Contains(t, r.out, "double-click")
	done := read[struct {
		State  string
		Ok     bool
		Checks []struct{ Ok bool }
	}](d, 0, "lesson", "run", "double-click")
	require.Equal(t, "finished", done.State)
	require.True(t, done.Ok)
	require.NotEmpty(t, done.Checks)
	require.Equal(t, 1, d.payonce("lesson", "run", "no-such-lesson").code)
	require.Equal(t, 2, d.payonce("lesson", "run", "double-click", "--predict", "no-such-option").code)
}

func healthy(t *testing.T, d *terminal, s *stage.Stage) {
	type check struct{ Name, State, Detail, Remedy string }
	eventually(t, "relay and worker, just started, have told that they reach the broker", func() bool { return d.payonce("doctor").code == 0 })
	report := read[struct {
		Ok     bool
		Checks []check
	}](d, 0, "doctor")
	require.True(t, report.Ok)
	state := map[string]string{}
	for _, c := range report.Checks {
		state[c.Name] = c.State
		require.False(t, c.State == "failed" || c.State == "note" && c.Remedy == "", "%+v", c)
	}
	for _, name := range []string{"shop", "run.json", "process api", "process worker", "api", "clock of the api", "heartbeat of relay", "postgres", "migrations", "roles", "rabbitmq", "provider", "mailbox", "disk"} {
		require.Equal(t, "ok", state[name], name)
	}
	strong, err := postgres.Open(t.Context(), postgres.Config{DSN: s.DSN, AppName: "payonce-relay"})
	require.NoError(t, err)
	require.NoError(t, strong.Ping(t.Context()))
	warned := d.payonce("doctor", "--table")
	require.Equal(t, 0, warned.code)
	require.Contains(t, warned.out, "payonce-relay as ")
	require.NoError(t, strong.Close())
	// With an address alone the processes cannot be looked at.
	elsewhere := newTerminal(t)
	require.Equal(t, 0, elsewhere.payonce("doctor", "--url", s.URL).code)
}

func tables(t *testing.T, d *terminal, _ *stage.Stage) {
	out := d.payonce("buy", "--table").out
	for _, words := range []string{"fate", "executed", "counted by", "the provider", "the mailbox", "You clicked 2 times. You were charged once.", "1 charge, 1 balanced ledger transaction, 1 mail, 2 tickets", "Ledger: €84.00 once"} {
		require.Contains(t, out, words)
	}
	require.NotContains(t, out, "\x1b")
}

func hostile(t *testing.T, d *terminal, _ *stage.Stage) {
	b := read[bought](d, 0, "buy", "--card", "tok_refund_declined")
	out := d.payonce("refund", b.Payment.ID, "--reason", "\u202egnp.exe").out
	require.Contains(t, out, "\u202egnp.exe", "a program gets what was written")
	r := d.payonce("proof", "\x1b]0;pwned\x07", "--table")
	require.NotContains(t, r.out+r.err, "\x1b")
}
