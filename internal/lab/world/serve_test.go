package world

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"payonce/internal/lab/client"
)

func constraintOf(err error) string {
	var refused *pq.Error
	if errors.As(err, &refused) {
		return refused.Constraint
	}
	return ""
}

func TestClosingFinishesASlowChargeLetsGoOfHeldCallsAndEndsWithinTheDrain(t *testing.T) {
	t.Parallel()
	called := make(chan string, 10)
	db := migrated(t)
	w, err := New(t.Context(), db, Options{Slow: time.Minute, Hold: time.Minute, OnCall: func(kind string) { called <- kind }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, stop := context.WithCancel(t.Context())
	web, mail := listenHere(t), listenHere(t)
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, web, mail) }()
	statuses := make(chan int, 2)
	for _, token := range []string{"tok_slow", "tok_timeout_before"} {
		go func() { statuses <- post(t, web.Addr().String(), token) }()
		<-called
	}
	waitForTries(t, w) // the held call has come as far as holding
	stop()
	begun := time.Now()
	if err := <-ended; err != nil || time.Since(begun) > Drain {
		t.Errorf("ended after %s: %v", time.Since(begun), err)
	}
	if sum := <-statuses + <-statuses; sum != http.StatusCreated { // 201, and 0 for the cut
		t.Errorf("the answers add up to %d, want 201 and none", sum)
	}
	if n := count(t, db, `SELECT count(*) FROM charges`); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
	for _, listener := range []net.Listener{web, mail} {
		if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
			_ = conn.Close()
			t.Errorf("%s still listens", listener.Addr())
		}
	}
}

func waitForTries(t *testing.T, w *World) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for count(t, w.books.db, `SELECT count(*) FROM card_tries`) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the held call never came")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// post charges with a token and returns the status, 0 without an answer.
func post(t *testing.T, addr, token string) int {
	body := `{"reference":"pay_1","amount_minor":1,"currency":"EUR","token":"` + token + `"}`
	// The client waits for longer than the world holds and is slow here.
	answer, err := client.New("http://"+addr, "", client.Options{Timeout: 2 * time.Minute}).Send(context.Background(),
		client.Request{Method: http.MethodPost, Path: "/v1/charges", Raw: []byte(body)})
	if err != nil {
		return 0
	}
	return answer.Status
}

func listenHere(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestHealthIs200AndWithoutItsDatabase503(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	web, mail := listenHere(t), listenHere(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, web, mail) }()
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		answer, err := client.New("http://"+web.Addr().String(), "", client.Options{}).Send(t.Context(), client.Request{Method: http.MethodGet, Path: "/healthz"})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != want {
			t.Errorf("health is %d, want %d", answer.Status, want)
		}
		_ = w.books.db.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnUnreachableDatabaseIsAnErrorAtOnceAndItsPasswordStaysOutOfIt(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), "postgres://u:secret-word@127.0.0.1:1/none?sslmode=disable")
	if err == nil || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), "postgres://u:secret-word@%zz/"); err == nil || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("got %v", err)
	}
	listed := "postgres://u:secret-word@a,b/none"
	if _, err := Open(t.Context(), listed); err == nil || strings.Contains(err.Error(), "secret-word") || !strings.Contains(err.Error(), "?host=a,b&port=5432,5432") {
		t.Errorf("it does not say which form works: %v", err)
	}
}
