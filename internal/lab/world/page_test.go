package world_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"payonce/internal/lab/client"
	"payonce/internal/lab/world"
)

func TestHostileMailIsShownAsTextAndNoPageMayRunAScript(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	const hostile = `</title><script>alert(1)</script><img src=x onerror=alert(2)>`
	s.mustMail(letterTo("a@example.org", `"><b>@payonce`, hostile, "</pre>"+hostile), "a@example.org")
	id := s.Messages("a@example.org")[0].ID
	for _, path := range []string{"/", "/mailbox", "/mailbox?to=%22%3E%3Cscript%3E", "/mailbox/" + id, "/mailbox/none"} {
		got := s.must("GET", path, "")
		if strings.Contains(got.body, "<script") || strings.Contains(got.body, "<img") || strings.Contains(got.body, "<b>") {
			t.Errorf("%s shows markup of a stranger:\n%s", path, got.body)
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if strings.Contains(got.body, "style=") || strings.Contains(got.body, "<style") {
			t.Errorf("%s has a style that its own policy refuses", path)
		}
	}
	if got := s.must("GET", "/mailbox/"+id, ""); !strings.Contains(got.body, html.EscapeString(hostile)) {
		t.Errorf("the subject is not readable:\n%s", got.body)
	}
}

func TestTheMailboxPageShowsOneMailThatWasDeliveredThreeTimesAndItsThreeArrivals(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	if got := s.must("GET", "/mailbox", ""); !strings.Contains(got.body, "No mail") {
		t.Errorf("an empty mailbox says nothing:\n%s", got.body)
	}
	for range 3 {
		s.mustMail(letterTo("a@example.org", "m@payonce", "Your receipt", "Two tickets."), "a@example.org")
	}
	s.mustMail(letterTo("b@example.org", "n@payonce", "", "t"), "b@example.org")
	all := s.must("GET", "/mailbox", "")
	if strings.Count(all.body, `data-testid="mail"`) != 2 || !strings.Contains(all.body, "delivered 3 times") || !strings.Contains(all.body, "(no subject)") {
		t.Errorf("mailbox:\n%s", all.body)
	}
	one := s.must("GET", "/mailbox?to=a@example.org", "")
	link := regexp.MustCompile(`href="(/mailbox/msg_[0-9a-f]+)"`).FindStringSubmatch(one.body)
	if strings.Count(one.body, `data-testid="mail"`) != 1 || link == nil {
		t.Fatalf("mailbox of one:\n%s", one.body)
	}
	message := s.must("GET", link[1], "")
	for _, want := range []string{"<h1>Your receipt</h1>", "Two tickets.", "&lt;m@payonce&gt;", "3 times, shown once"} {
		if !strings.Contains(message.body, want) {
			t.Errorf("the message lacks %q:\n%s", want, message.body)
		}
	}
	if n := strings.Count(message.body, "<time "); n != 3 {
		t.Errorf("%d arrivals, want 3", n)
	}
}

func TestMoreThanFiftyMailsArePaged(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for range 51 {
		s.mustMail(letterTo("a@example.org", "", "s", "t"), "a@example.org")
	}
	first := s.must("GET", "/mailbox?to=a@example.org", "")
	link := regexp.MustCompile(`href="(/mailbox\?to=[^"]+cursor=[^"]+)"`).FindStringSubmatch(first.body)
	if strings.Count(first.body, `data-testid="mail"`) != 50 || link == nil {
		t.Fatalf("first page:\n%.500s", first.body)
	}
	older := s.must("GET", html.UnescapeString(link[1]), "")
	if n := strings.Count(older.body, `data-testid="mail"`); n != 1 {
		t.Errorf("the older page has %d mails, want 1", n)
	}
}

func TestTheHomePageCountsWhatTheWorldHasSeen(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.cancel("late")
	for key, token := range map[string]string{"a": "tok_ok", "b": "tok_ok", "c": "tok_declined", "late": "tok_ok"} {
		if _, err := s.pay(token, key); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s.mustMail(letterTo("a@example.org", "m@payonce", "s", "t"), "a@example.org")
	}
	got := s.must("GET", "/", "")
	for _, want := range []string{`"succeeded">2<`, `"declined">1<`, `"cancelled">1<`, `"messages">1<`, `"deliveries">2<`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s on the page:\n%s", want, got.body)
		}
	}
	for _, c := range world.Cards {
		if !strings.Contains(got.body, "<code>"+c.Token+"</code>") {
			t.Errorf("the page does not name %s", c.Token)
		}
	}
}

func TestEveryAssetAPageNamesExists(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	page := s.must("GET", "/", "")
	for _, link := range regexp.MustCompile(`<link[^>]+href="([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		got := s.must("GET", link[1], "")
		if got.status != http.StatusOK || got.body == "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d", link[1], got.status)
		}
	}
}

// A name that points at this machine is not enough: a page of it would read each mailbox.
func TestOnlyItsOwnNamesAreAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{Hosts: []string{"simulator"}})
	raw := client.Transport(client.Options{Idle: 1})
	for host, status := range map[string]int{
		"evil.example": 421, "evil.example:8090": 421, "localhost.evil.example": 421,
		"localhost": 200, "localhost:8090": 200, "127.0.0.1:1": 200, "[::1]:8090": 200, "simulator:8090": 200,
	} {
		for _, path := range []string{"/", "/v1/charges", "/mailbox/messages", "/v1/behaviour"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			got, err := raw.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = got.Body.Close()
			if got.StatusCode != status {
				t.Errorf("%s of %q: %d, want %d", path, host, got.StatusCode, status)
			}
			if got.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || got.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s: %v", path, got.Header)
			}
		}
	}
}

// The shop's api has asked whose page it is; what comes here past it has not been asked.
func TestNoPageReachesTheLaboratoryPastTheApi(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{Lab: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })})
	raw := client.Transport(client.Options{Idle: 1})
	for header, status := range map[string]int{"Origin: null": 403, "Origin: http://evil.example": 403, "Sec-Fetch-Site: none": 403, "Accept: */*": 204} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/lab/lessons/x/runs", nil)
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		got, err := raw.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != status {
			t.Errorf("%s: %d, want %d", header, got.StatusCode, status)
		}
	}
}

func TestTheMailboxPagesAddressIsABaseOfItsAPIToo(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, path := range []string{"/mailbox/messages", "/mailbox/mailbox/messages"} {
		if got := s.must("GET", path, ""); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
