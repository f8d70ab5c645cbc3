package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
)

func (e *edge) record(o wire.Order) reply {
	e.t.Helper()
	return e.send("POST", "/v1/payments/"+o.Payment.ID+"/recording", map[string]string{"Authorization": "Bearer " + e.key}, "")
}

func TestARecordingIsReadByWhoeverHasTheLinkAndStaysAsItWas(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.PublicURL = "https://shop.example/" })
	o := e.paid()
	var link wire.RecordingLink
	e.decode(e.record(o), 201, &link)
	if link.URL != "https://shop.example/replay/"+link.ID || link.Events < 3 {
		t.Fatalf("%+v", link)
	}
	watch := func() reply { return e.send("GET", "/v1/recordings/"+link.ID, nil, "") }
	first := watch()
	var seen wire.Recording
	e.decode(first, 200, &seen)
	if int64(len(seen.Activity)) != link.Events || seen.Payment.ID != o.Payment.ID || seen.Payment.Status != "captured" || seen.Proof.Attempts["executed"] != 1 || !seen.Whole {
		t.Errorf("%+v", seen)
	}
	if left := time.Time(seen.ExpiresAt).Sub(time.Time(seen.RecordedAt)); left != 30*24*time.Hour {
		t.Errorf("it ends after %s", left)
	}
	if strings.Contains(string(first.Body), "@") || first.Header.Get("Set-Cookie") != "" {
		t.Errorf("it tells whose it is, or makes a sandbox: %s", first.Body)
	}

	e.capture(o.Payment, "another-key", "tok_ok")
	if again := watch(); string(again.Body) != string(first.Body) {
		t.Error("what was written down has changed")
	}
	var renewed wire.RecordingLink
	e.decode(e.record(o), 201, &renewed)
	if renewed.ID != link.ID || renewed.Events <= link.Events {
		t.Errorf("recorded again: %+v", renewed)
	}
	e.key = e.newKey()
	e.problem(e.record(o), 404, "not-found")
}

func TestALinkThatThisShopHasNotMadeOrThatIsOverShowsNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.RecordingTTL = time.Nanosecond })
	o := e.paid()
	var over wire.RecordingLink
	e.decode(e.record(o), 201, &over)
	payment, _ := wire.PrefixPayment.Parse(o.Payment.ID)
	for what, id := range map[string]string{
		"over": over.ID, "a payment that nobody recorded": caller.NewTokens([]byte("secret"), "").Recording(uuid.New()),
		"signed by another": caller.NewTokens([]byte("another"), "").Recording(payment), "a payment's id": o.Payment.ID, "an API key": e.key,
		"cut": over.ID[:len(over.ID)-1], "nothing known": "rec_1",
	} {
		if r := e.get("/v1/recordings/" + id); r.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
	}
}

func TestThePageThatPlaysARecordingMakesNoSandbox(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for path, cookies := range map[string]int{"/replay/rec_1": 0, "/x-ray": 1} {
		r := e.send("GET", path, map[string]string{"Accept": "text/html"}, "")
		if n := len(r.Header.Values("Set-Cookie")); r.Status != 200 || n != cookies {
			t.Errorf("%s: %d, %d cookies", path, r.Status, n)
		}
	}
}
