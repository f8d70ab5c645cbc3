package httpapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
)

// rawInput is one line of testdata/bad_input/raw.jsonl: bytes as no client
// library would send them, and the answer. Without a type it is net/http that
// refuses, before any of ours is called.
type rawInput struct {
	Name      string `json:"name"`
	Raw       string `json:"raw"`
	Status    int    `json:"status"`
	Type      string `json:"type"`
	HalfClose bool   `json:"half_close"`
}

func rawCorpus(t *testing.T) []rawInput {
	t.Helper()
	file, err := os.Open("../../../testdata/bad_input/raw.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []rawInput
	for d := json.NewDecoder(file); ; {
		d.DisallowUnknownFields()
		var one rawInput
		if err := d.Decode(&one); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// exchange sends bytes as they are and reads one answer. Nothing may hang.
func exchange(t *testing.T, address string, in rawInput) (status int, answer string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		_, _ = io.WriteString(conn, in.Raw) // the server may have had enough
		if tcp, ok := conn.(*net.TCPConn); ok && in.HalfClose {
			_ = tcp.CloseWrite()
		}
	}()
	method, _, _ := strings.Cut(in.Raw, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Errorf("%s: no answer: %v", in.Name, err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("%s: the answer ends early: %v", in.Name, err)
	}
	return res.StatusCode, string(body)
}

func TestAHundredAndTenRawRequestsAreAnsweredAndHaveNoEffect(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	cookie := e.send("GET", "/", nil, "").cookie(t)
	foreign := caller.NewTokens([]byte("another secret, another secret, another"), "")
	all := rawCorpus(t)
	if len(all) < 110 {
		t.Fatalf("%d cases", len(all))
	}
	address := strings.TrimPrefix(e.server.URL, "http://")
	for _, in := range all {
		in.Raw = strings.NewReplacer("{host}", address, "{key}", e.key, "{uuid}", uuid.NewString(), "{payment}", o.Payment.ID, "{cookie}", cookie,
			"{foreign_key}", foreign.APIKey(uuid.New()), "{foreign_cookie}", foreign.Session(uuid.New())).Replace(in.Raw)
		_, sent, _ := strings.Cut(in.Raw, "\r\n\r\n")
		in.Raw = strings.Replace(in.Raw, "{length}", strconv.Itoa(len(sent)), 1)
		status, body := exchange(t, address, in)
		if status != in.Status {
			t.Errorf("%s: expected %d %s, got %d %s", in.Name, in.Status, in.Type, status, body)
			continue
		}
		var p wire.Problem
		if in.Type == "" {
			continue
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Type != "/problems/"+in.Type {
			t.Errorf("%s: expected %s, got %s", in.Name, in.Type, body)
		}
	}
	if n := e.count(`SELECT count(*) FROM payment_attempts`); n != 0 || e.bank.calls != 0 || e.count(`SELECT count(*) FROM orders`) != 1 {
		t.Errorf("%d attempts, %d calls of the provider", n, e.bank.calls)
	}
}

// cookie is the sandbox that a first page sets.
func (r reply) cookie(t *testing.T) string {
	t.Helper()
	for _, c := range (&http.Response{Header: r.Header}).Cookies() {
		if c.Name == "payonce_sandbox" {
			return c.Value
		}
	}
	t.Fatal("the first page sets no cookie")
	return ""
}
