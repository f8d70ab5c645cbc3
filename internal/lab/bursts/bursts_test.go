package bursts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/faults"
	"payonce/internal/platform/postgres"
)

// shop notes what reaches it from outside, and holds captures back until all of
// a burst are there.
type shop struct {
	mu        sync.Mutex
	keys      map[string]int
	strangers []string
	together  sync.WaitGroup
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if r.UserAgent() != bursts.UserAgent || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer sk_test_") {
		s.strangers = append(s.strangers, r.UserAgent())
	}
	s.mu.Unlock()
	if r.Method == http.MethodGet {
		if strings.HasSuffix(r.URL.Path, "ffff") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"amount_minor":8400,"currency":"EUR"}`)
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.together.Done()
	s.together.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	s.keys[key]++
	w.Header().Set("Idempotent-Replayed", fmt.Sprint(s.keys[key] > 1))
	_, _ = w.Write(body)
}

func open(t *testing.T, attempts int) (*shop, string) {
	t.Helper()
	s := &shop{keys: map[string]int{}}
	s.together.Add(attempts)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// ask sends one request to the laboratory as a sandbox.
func ask(t *testing.T, lab http.Handler, who caller.Caller, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(caller.With(t.Context(), who), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	lab.ServeHTTP(w, r)
	return w
}

var someone = caller.Caller{Merchant: uuid.MustParse("6b8f7f0e-3b0e-4b65-9d2c-2f6f1a7d9c01")}

const payment = "pay_019a1c0d4f8b7d10a3c2e4f6b8d0a2c4"

func TestFiftyClicksAreFiftyRequestsThatAreThereAtTheSameTime(t *testing.T) {
	t.Parallel()
	for keys, distinct := range map[string]int{"same": 1, "fresh": 50} {
		s, url := open(t, 50) // a burst of fewer than fifty at once would never end
		lab := bursts.New(bursts.Options{PublicURL: url, Secret: []byte("secret")})
		w := ask(t, lab, someone, "POST", "/v1/lab/bursts", `{"payment_id":"`+payment+`","attempts":50,"keys":"`+keys+`"}`)
		var b bursts.Burst
		if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if len(b.Answers) != 50 || b.Statuses["200"] != 50 || len(s.keys) != distinct || b.Replayed != 50-distinct || b.DistinctBodies != 1 {
			t.Errorf("%s: %d answers, %d keys at the shop, %+v", keys, len(b.Answers), len(s.keys), b.Statuses)
		}
		if len(s.strangers) != 0 {
			t.Errorf("not introduced: %v", s.strangers)
		}
	}
}

func TestAKeyThatIsGivenIsUsedAndADeadShopIsNoAnswer(t *testing.T) {
	t.Parallel()
	s, url := open(t, 2)
	lab := bursts.New(bursts.Options{PublicURL: url, Secret: []byte("secret")})
	ask(t, lab, someone, "POST", "/v1/lab/bursts", `{"payment_id":"`+payment+`","attempts":2,"keys":"same","key":"mine"}`)
	if s.keys["mine"] != 2 {
		t.Errorf("got %v", s.keys)
	}
	if w := ask(t, lab, someone, "POST", "/v1/lab/bursts", `{"payment_id":"pay_`+strings.Repeat("f", 32)+`","attempts":2,"keys":"same"}`); w.Code != 404 {
		t.Errorf("a payment that is none: %d", w.Code)
	}
	dead := bursts.New(bursts.Options{PublicURL: "http://127.0.0.1:1", Secret: []byte("secret")})
	if w := ask(t, dead, someone, "POST", "/v1/lab/bursts", `{"payment_id":"`+payment+`","attempts":2,"keys":"same"}`); w.Code != 503 {
		t.Errorf("a dead shop: %d %s", w.Code, w.Body)
	}
}

func TestTheLaboratoryRefusesWithProblemDocuments(t *testing.T) {
	t.Parallel()
	lab := bursts.New(bursts.Options{PublicURL: "http://127.0.0.1:1", Secret: []byte("secret")})
	for _, one := range []struct {
		method, path, body string
		who                caller.Caller
		status             int
	}{
		{"GET", "/v1/lab/nothing", "", someone, 404},
		{"DELETE", "/v1/lab/bursts", "", someone, 405},
		{"GET", "/v1/lab/mailbox", "", caller.Caller{Operator: true}, 403},
		{"POST", "/v1/lab/bursts", `{"payment_id":"` + payment + `","attempts":101,"keys":"same"}`, someone, 400},
		{"POST", "/v1/lab/bursts", `{"payment_id":"` + payment + `","attempts":1.0,"keys":"same"}`, someone, 400},
		{"POST", "/v1/lab/bursts", `{"payment_id":"` + payment + `","attempts":1,"keys":"some"}`, someone, 400},
		{"POST", "/v1/lab/bursts", "", someone, 415},
		{"GET", "/v1/lab/mailbox", "", someone, 404}, // nobody knows a mailbox
	} {
		w := ask(t, lab, one.who, one.method, one.path, one.body)
		if w.Code != one.status || w.Header().Get("Content-Type") != wire.ProblemJSON {
			t.Errorf("%s %s: %d %s", one.method, one.path, w.Code, w.Body)
		}
	}
}

func TestAFaultIsArmedForOnesOwnPaymentsOnly(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mine := uuid.Must(uuid.NewV7())
	err = postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `
WITH m AS (INSERT INTO merchants (id, api_key_hash) VALUES ($1, 'x') RETURNING id),
     o AS (INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items) SELECT $2, id, 'k', 'awaiting_payment', 'a@b', 1, 'EUR', '[]' FROM m RETURNING id, merchant_id)
INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency) SELECT $2, merchant_id, id, 'requires_capture', 1, 'EUR' FROM o`, someone.Merchant, mine)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	board, err := faults.Open(t.Context(), postgres.Config{DSN: dsn}, nil)
	if err != nil {
		t.Fatal(err)
	}
	looked := make(chan struct{})
	go board.Run(t.Context(), looked)
	<-looked
	lab := bursts.New(bursts.Options{DB: db, Secret: []byte("s"), Points: []string{"capture.after_charge"}, Actions: []string{"kill"}, Faults: board})
	fault := func(extra string) *httptest.ResponseRecorder {
		return ask(t, lab, someone, "POST", "/v1/lab/faults", `{"point":"capture.after_charge","action":"kill"`+extra+`}`)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"own payment": fault(`,"payment_id":"` + wire.PrefixPayment.ID(mine) + `","nth":2`), "own sandbox": fault(""),
	} {
		if w.Code != 202 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := fault(`,"payment_id":"` + payment + `"`); w.Code != 404 {
		t.Errorf("a stranger's payment: %d", w.Code)
	}
	for _, bad := range []string{`{"point":"nowhere","action":"kill"}`, `{"point":"capture.after_charge","action":"explode"}`, `{"point":"capture.after_charge","action":"stop","for_ms":0}`} {
		if w := ask(t, lab, someone, "POST", "/v1/lab/faults", bad); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	stranger := caller.Caller{Merchant: uuid.New()}
	armed := func(who caller.Caller) (list []string) {
		var view struct {
			Armed []struct {
				Action, Scope string
				Nth           int
			}
		}
		w := ask(t, lab, who, "GET", "/v1/lab/faults", "")
		if err := json.Unmarshal(w.Body.Bytes(), &view); err != nil || w.Code != 200 || !strings.Contains(w.Body.String(), `"data":["capture.after_charge"]`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for _, f := range view.Armed {
			list = append(list, fmt.Sprint(f.Action, " ", f.Scope, " ", f.Nth))
		}
		slices.Sort(list)
		return list
	}
	want := []string{"kill " + wire.PrefixMerchant.ID(someone.Merchant) + " 1", "kill " + wire.PrefixPayment.ID(mine) + " 2"}
	if got := armed(someone); !slices.Equal(got, want) {
		t.Errorf("armed %v, want %v", got, want)
	}
	for who, n := range map[caller.Caller]string{stranger: `"disarmed":0`, someone: `"disarmed":2`} {
		if who == stranger && len(armed(stranger)) != 0 {
			t.Error("a stranger sees what is mine")
		}
		if w := ask(t, lab, who, "DELETE", "/v1/lab/faults", ""); w.Code != 200 || !strings.Contains(w.Body.String(), n) {
			t.Errorf("%d %s, want %s", w.Code, w.Body, n)
		}
	}
	if got := armed(someone); len(got) != 0 {
		t.Errorf("still armed %v", got)
	}
}

func TestTheMailboxIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("message_id") != "":
			_, _ = fmt.Fprintf(w, `{"data":[{"message_id":%q,"deliveries":2,"received_at":"2026-11-23T20:00:00.000Z"}]}`, q.Get("message_id"))
		case q.Get("cursor") == "":
			_, _ = io.WriteString(w, `{"data":[{"message_id":"<1@x>"}],"next_cursor":"n"}`)
		case q.Get("cursor") == "n":
			_, _ = io.WriteString(w, `{"data":[{"message_id":"<2@x>"}],"next_cursor":null}`)
		}
	}))
	defer pages.Close()
	box := bursts.NewMailbox(pages.URL + "/")
	seen := ""
	err := box.EachMail(t.Context(), func(m audit.Mail) error {
		seen += m.MessageID
		return nil
	})
	one, oneErr := box.MailsByMessageID(t.Context(), "<3@x>")
	if err != nil || oneErr != nil || seen != "<1@x><2@x>" || len(one) != 1 || one[0].Deliveries != 2 {
		t.Errorf("%v %v %s %+v", err, oneErr, seen, one)
	}
	pages.Close()
	if err := box.EachMail(context.WithoutCancel(t.Context()), func(audit.Mail) error { return nil }); err == nil {
		t.Error("a mailbox that is away answered")
	}
}
