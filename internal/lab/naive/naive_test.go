package naive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/naive"
	"payonce/internal/lab/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

// trial is what a trial answers.
type trial struct {
	Guard    string
	On, Harm bool
	HarmName string `json:"harm_name"`
	ID       string
	Bill     naive.Bill
	Story    []string
}

func (v trial) String() string {
	return fmt.Sprintf("%s, on: %t, harm: %t\n  %+v\n  due %+v\n  %s\n  %s", v.Guard, v.On, v.Harm, v.Bill.Counts, v.Bill.Expected,
		strings.Join(v.Bill.Harm, "; "), strings.Join(v.Story, "\n  "))
}

// post sends as a visitor and reads what must have this status.
func post(t *testing.T, b *stage.Buyer, path string, body any, status int, into any) {
	t.Helper()
	r, err := b.Do(context.Background(), http.MethodPost, path, "", body)
	require.NoError(t, err)
	require.Equal(t, status, r.Status, "%s: %s", path, r.Body)
	if into != nil {
		require.NoError(t, json.Unmarshal(r.Body, into))
	}
}

// harms are what each guard's absence must do, seen from outside.
var harms = map[naive.Guard]func(got, due naive.Counts) bool{
	naive.Key:         func(got, due naive.Counts) bool { return got.Declines == 2 && got.Mails == 2 && due.Declines == 1 },
	naive.RequestHash: func(got, _ naive.Counts) bool { return got == naive.Counts{} },
	naive.BusinessKey: func(got, _ naive.Counts) bool {
		return got.Charges == 2 && got.LedgerTransactions == 2 && got.Mails == 2 && got.Tickets == 4
	},
	naive.ProviderKey: func(got, _ naive.Counts) bool { return got.Charges == 2 && got.LedgerTransactions == 1 },
	naive.Outbox:      func(got, _ naive.Counts) bool { return got == naive.Counts{Charges: 1} },
	naive.Confirms:    func(got, _ naive.Counts) bool { return got == naive.Counts{Charges: 1} },
	naive.Inbox: func(got, _ naive.Counts) bool {
		return got.Charges == 1 && got.LedgerTransactions == 2 && got.Mails == 2 && got.Tickets == 4
	},
	naive.UndoBeforeDo: func(got, _ naive.Counts) bool {
		return got == naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1}
	},
}

func TestEachGuardOffShowsItsHarmAndOnTakesItAway(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	reached(t, s.Buyer())
	require.Len(t, harms, len(naive.Guards))
	for _, guard := range naive.Guards {
		t.Run(string(guard.Slug), func(t *testing.T) {
			t.Parallel()
			b := s.Buyer() // fresh data: a sandbox of its own
			var off, on trial
			post(t, b, "/v1/lab/guards/"+string(guard.Slug)+"/trials", map[string]any{"on": false}, 200, &off)
			require.True(t, off.Harm, "off: %s", off)
			require.True(t, harms[guard.Slug](off.Bill.Counts, off.Bill.Expected), "another harm than its own: %s", off)
			require.Equal(t, guard.HarmName, off.HarmName)
			post(t, b, "/v1/lab/guards/"+string(guard.Slug)+"/trials", map[string]any{"on": true}, 200, &on)
			require.False(t, on.Harm, "on again: %s", on)
			require.Empty(t, on.Bill.Harm)
			require.Equal(t, on.Bill.Expected, on.Bill.Counts)
			for _, v := range []trial{off, on} {
				require.Zero(t, s.Count(`SELECT count(*) FROM naive.troubles WHERE 'nai_' || replace(checkout_id::text, '-', '') = $1`, v.ID),
					"what was to go wrong did not: %s", v)
				require.Greater(t, len(v.Story), 2, "%s", v)
			}
		})
	}
}

// checkout is a naive checkout as its answer shows it.
type checkout struct {
	ID          string
	AmountMinor int64 `json:"amount_minor"`
	Currency    string
	Email       string
	Guards      []string
	Status      string
	Bill        naive.Bill
}

// reached waits until the api has reached the broker: a naive shop publishes once, and
// what it could not publish by then is lost, which is one of its harms and no finding.
func reached(t *testing.T, b *stage.Buyer) {
	t.Helper()
	c := placed(t, b, map[string]any{"guards": "all"})
	require.Equal(t, 200, pays(t, b, c, "first-"+c.ID, "tok_ok").Status)
	comes(t, b, c, naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2})
}

func placed(t *testing.T, b *stage.Buyer, body map[string]any) (c checkout) {
	t.Helper()
	post(t, b, "/v1/lab/naive/checkouts", body, 201, &c)
	return c
}

// pays clicks once.
func pays(t *testing.T, b *stage.Buyer, c checkout, key, card string) stage.Response {
	t.Helper()
	r, err := b.Do(context.Background(), http.MethodPost, "/v1/lab/naive/checkouts/"+c.ID+"/capture", key,
		map[string]any{"amount_minor": c.AmountMinor, "currency": c.Currency, "card_token": card})
	require.NoError(t, err)
	return r
}

// comes waits until a bill is as described.
func comes(t *testing.T, b *stage.Buyer, c checkout, as naive.Counts) {
	t.Helper()
	var bill naive.Bill
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		require.NoError(t, json.Unmarshal(b.Get("/v1/lab/naive/checkouts/"+c.ID+"/bill").Body, &bill))
		if bill.Counts == as {
			return
		}
	}
	require.Equal(t, as, bill.Counts)
}

func TestWithoutGuardsTwoClicksAreTwoOfEverythingAndWithAllOfThemOne(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	reached(t, b)
	for guards, n := range map[string]int{"none": 2, "all": 1} {
		c := placed(t, b, map[string]any{"guards": guards, "quantity": 3})
		require.Len(t, c.Guards, map[string]int{"none": 0, "all": 8}[guards])
		require.Equal(t, int64(3*4200), c.AmountMinor)
		for range 2 {
			require.Equal(t, 200, pays(t, b, c, "one-key-"+c.ID, "tok_ok").Status)
		}
		comes(t, b, c, naive.Counts{Charges: n, LedgerTransactions: n, Mails: n, Tickets: 3 * n})
		require.Len(t, s.RefundsAtProvider(c.ID), 0)
	}
	c := placed(t, b, map[string]any{"guards": "none"})
	require.Equal(t, 500, pays(t, b, c, "", "tok_timeout_after").Status, "the naive shop does not know")
	comes(t, b, c, naive.Counts{Charges: 2}) // money taken twice, nothing sold

	for guards, charges := range map[string]int{"none": 2, "all": 1} {
		c := placed(t, b, map[string]any{"guards": guards, "troubles": []string{"end-after-charge"}})
		// The first request ends without an answer. net/http sends it again by itself,
		// because it has an Idempotency-Key and its connection was used before; or we do.
		require.Eventually(t, func() bool {
			r, err := b.Do(context.Background(), http.MethodPost, "/v1/lab/naive/checkouts/"+c.ID+"/capture", "K-"+c.ID,
				map[string]any{"amount_minor": c.AmountMinor, "currency": c.Currency, "card_token": "tok_ok"})
			return err == nil && r.Status == 200
		}, 30*time.Second, 200*time.Millisecond)
		comes(t, b, c, naive.Counts{Charges: charges, LedgerTransactions: 1, Mails: 1, Tickets: 2})
	}

	all := placed(t, b, map[string]any{"guards": "all"})
	require.Equal(t, 400, pays(t, b, all, "", "tok_ok").Status, "the guard key wants a key")
	require.Equal(t, 200, pays(t, b, all, "K-"+all.ID, "tok_timeout_after").Status, "asked again under the same key")
	comes(t, b, all, naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2})

	// The shop's own books do not know of any of it.
	require.Empty(t, s.AllCharges(), "the shop's account shows charges of the naive shop's")
	require.Zero(t, s.Count(`SELECT count(*) FROM alerts`))
	require.Zero(t, s.Count(`SELECT count(*) FROM public.outbox_events`)+s.Count(`SELECT count(*) FROM public.idempotency_keys`)+
		s.Count(`SELECT count(*) FROM public.consumer_inbox`)+s.Count(`SELECT count(*) FROM public.ledger_transactions`)+
		s.Count(`SELECT count(*) FROM webhook_receipts`), "the naive shop wrote into the shop's tables")
}

func TestARefundGoesBackOnceWithTheUndoDueAndWithoutIt(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	reached(t, b)
	for guards, status := range map[string]int{"none": 200, "all": 202} {
		for card, refunds := range map[string]int{"tok_ok": 1, "tok_refund_declined": 0} {
			c := placed(t, b, map[string]any{"guards": guards})
			require.Equal(t, 409, must(b.Do(t.Context(), http.MethodPost, "/v1/lab/naive/checkouts/"+c.ID+"/refund", "", nil)).Status, "nothing is paid yet")
			require.Equal(t, 200, pays(t, b, c, "K-"+c.ID, card).Status)
			once := naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2}
			comes(t, b, c, once)
			want := status
			if guards == "none" && refunds == 0 {
				want = 502
			}
			require.Equal(t, want, must(b.Do(t.Context(), http.MethodPost, "/v1/lab/naive/checkouts/"+c.ID+"/refund", "", nil)).Status, "%s %s", guards, card)
			once.Refunds, once.Tickets = refunds, 2-2*refunds
			ended := map[int]string{0: "failed", 1: "refunded"}[refunds]
			require.Eventually(t, func() bool {
				return b.Get("/v1/lab/naive/checkouts/"+c.ID).Field("refund") == ended
			}, 30*time.Second, 50*time.Millisecond, "%s %s", guards, card)
			comes(t, b, c, once)
		}
	}
}

func must(r stage.Response, err error) stage.Response {
	if err != nil {
		panic(err)
	}
	return r
}

func TestTwoVisitorsNeverSeeEachOthersNaiveRowsNorShareAKey(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	mine, theirs := s.Buyer(), s.Buyer()
	c := placed(t, mine, map[string]any{"guards": "all"})
	d := placed(t, theirs, map[string]any{"guards": "all"})
	for _, try := range []struct{ method, path string }{
		{"GET", ""}, {"GET", "/bill"}, {"POST", "/refund"}, {"POST", "/capture"}, {"POST", "/webhook"},
	} {
		var body any
		if try.path == "/capture" {
			body = map[string]any{"amount_minor": c.AmountMinor, "currency": c.Currency, "card_token": "tok_ok"}
		}
		if try.path == "/webhook" {
			body = said(c)
		}
		r := must(theirs.Do(t.Context(), try.method, "/v1/lab/naive/checkouts/"+c.ID+try.path, "K", body))
		require.Equal(t, 404, r.Status, "%s %s: %s", try.method, try.path, r.Body)
	}
	// One key, two visitors: two purchases.
	require.Equal(t, 200, pays(t, mine, c, "K", "tok_ok").Status)
	require.Equal(t, 200, pays(t, theirs, d, "K", "tok_ok").Status)
	once := naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2}
	comes(t, mine, c, once)
	comes(t, theirs, d, once)
	require.Zero(t, s.Count(`SELECT count(*) FROM (SELECT checkout_id, merchant_id FROM naive.tickets UNION SELECT checkout_id, merchant_id FROM naive.ledger_transactions) r
		JOIN naive.checkouts c ON c.id = r.checkout_id WHERE c.merchant_id <> r.merchant_id`))
}

// said is the provider's message about a checkout, as anybody could write it.
func said(c checkout) map[string]any {
	return map[string]any{"type": "charge.succeeded", "data": map[string]any{"id": "ch_said", "amount_minor": c.AmountMinor, "currency": c.Currency}}
}

func TestAWebhookIsDoneAsOftenAsItComesUnlessTheBusinessKeyIsOn(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	reached(t, b)
	for guards, want := range map[string]naive.Counts{
		"none": {Charges: 1, LedgerTransactions: 3, Mails: 3, Tickets: 6},
		"all":  {Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2},
	} {
		c := placed(t, b, map[string]any{"guards": guards})
		require.Equal(t, 200, pays(t, b, c, "K-"+guards, "tok_ok").Status)
		for range 2 {
			post(t, b, "/v1/lab/naive/checkouts/"+c.ID+"/webhook", said(c), 200, nil)
		}
		require.Equal(t, want.LedgerTransactions, s.Count(`SELECT events FROM naive.checkouts WHERE 'nai_' || replace(id::text, '-', '') = $1`, c.ID), "events of %s", guards)
		comes(t, b, c, want)
	}
}

func TestBadRequestsOfTheNaiveShopAreRefusedAsElsewhere(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{Without: []string{"worker", "relay"}}).Buyer()
	c := placed(t, b, map[string]any{"guards": "all-but", "but": "key"})
	require.NotContains(t, c.Guards, "key")
	require.Len(t, c.Guards, 7)
	for _, bad := range []struct {
		path, body string
		status     int
	}{
		{"naive/checkouts", `{"guards":"some"}`, 400},
		{"naive/checkouts", `{"guards":"all-but"}`, 400},
		{"naive/checkouts", `{"guards":"none","but":"key"}`, 400},
		{"naive/checkouts", `{"guards":"none","quantity":9}`, 400},
		{"naive/checkouts", `{"guards":"none","troubles":["flood"]}`, 400},
		{"naive/checkouts", `{"guards":"none","quantity":2.0}`, 400},
		{"naive/checkouts/nai_0/capture", `{"amount_minor":1,"currency":"EUR","card_token":"tok_ok"}`, 404},
		{"naive/checkouts/" + c.ID + "/capture", `{"amount_minor":1,"currency":"EUR","card_token":"tok_ok"}`, 422},
		{"naive/checkouts/nai_0/webhook", `{"type":"charge.succeeded","data":{"id":"ch_1","amount_minor":1,"currency":"EUR"}}`, 404},
		{"naive/checkouts/" + c.ID + "/webhook", `{"type":"charge.lost","data":{"id":"ch_1","amount_minor":1,"currency":"EUR"}}`, 400},
		{"naive/checkouts/" + c.ID + "/webhook", `{"type":"charge.succeeded"}`, 400},
		{"guards/luck/trials", `{"on":true}`, 404},
		{"guards/key/trials", `{}`, 400},
		{"compare", `{"clicks":21,"keys":"same","fault":"none"}`, 400},
		{"compare", `{"clicks":1,"keys":"same","fault":"flood"}`, 400},
		{"naive/nothing", `{}`, 404},
	} {
		r := must(b.Do(t.Context(), http.MethodPost, "/v1/lab/"+bad.path, "K", json.RawMessage(bad.body)))
		require.Equal(t, bad.status, r.Status, "%s %s: %s", bad.path, bad.body, r.Body)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
	}
}

// compared is what a comparison answers.
type compared struct {
	Payonce, Naive struct {
		ID         string
		PaymentID  string `json:"payment_id"`
		Deliveries int
		Bill       naive.Bill
	}
}

func TestTheSameClicksAndFaultsCostTheShopOnceAndTheNaiveOneWhatTheyMay(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	once := naive.Counts{Charges: 1, LedgerTransactions: 1, Mails: 1, Tickets: 2}
	for fault, run := range map[string]struct {
		clicks int
		harmed func(naive.Counts) bool
	}{
		"none": {5, func(n naive.Counts) bool {
			return n.Charges == 5 && n.LedgerTransactions == 5 && n.Mails == 5 && n.Tickets == 10
		}},
		"lost-answer":       {1, func(n naive.Counts) bool { return n.Charges >= 2 && n.LedgerTransactions == 0 }},
		"kill-after-charge": {1, func(n naive.Counts) bool { return n.Charges == 2 && n.LedgerTransactions == 1 }},
		"redeliver":         {1, func(n naive.Counts) bool { return n.Charges == 1 && n.LedgerTransactions == 2 && n.Mails == 2 }},
		"broker-away":       {1, func(n naive.Counts) bool { return n == naive.Counts{Charges: 1} }},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			b := s.Buyer()
			for _, keys := range []string{"same", "fresh"} {
				var v compared
				post(t, b, "/v1/lab/compare", map[string]any{"clicks": run.clicks, "keys": keys, "fault": fault}, 200, &v)
				require.Equal(t, once, v.Payonce.Bill.Counts, "%s %s: %+v", fault, keys, v)
				require.Empty(t, v.Payonce.Bill.Harm)
				require.True(t, run.harmed(v.Naive.Bill.Counts), "%s %s: %+v", fault, keys, v.Naive)
				require.NotEmpty(t, v.Naive.Bill.Harm)
				require.GreaterOrEqual(t, v.Naive.Deliveries, run.clicks)
				require.True(t, strings.HasPrefix(v.Naive.ID, "nai_") && strings.HasPrefix(v.Payonce.PaymentID, "pay_"))
				require.Zero(t, s.Count(`SELECT count(*) FROM lab.faults WHERE 'mer_' || replace(merchant_id::text, '-', '') = $1 AND fired_at IS NULL`, b.MerchantID), "the shop's fault did not happen")
			}
		})
	}
}
