package lesson

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/client"
	"payonce/once/webhook"
)

// webhooks: what the provider tells by itself comes five times, in any order,
// and from people who are not the provider.
func webhooks(ctx context.Context, s *Scene) (string, error) {
	if len(s.secrets) == 0 {
		return "", errors.New("the runner has no webhook secret to sign with")
	}
	c, err := s.buy(ctx, "tok_webhook_storm")
	if err != nil {
		return "", err
	}
	s.say(ctx, "%s was paid with a card whose webhook is sent five times, at moments of their own.", c.payment)
	if err := s.await(ctx, "five webhooks", func(ctx context.Context) (bool, error) {
		n, err := s.taken(ctx, c)
		return n >= 5, err
	}); err != nil {
		return "", err
	}
	early, err := s.buy(ctx, "tok_webhook_first")
	if err != nil {
		return "", err
	}
	s.say(ctx, "%s was paid with one whose webhook comes before the answer to the charge.", early.payment)
	id, seen, err := s.tell(ctx, c.payment, "/v1/webhooks/provider")
	if err != nil {
		return "", err
	}
	return s.judgeWebhooks(ctx, c, early, id, seen)
}

func (s *Scene) judgeWebhooks(ctx context.Context, c, early checkout, id string, seen []string) (string, error) {
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	log := deliveriesPath(c)
	s.check(ctx, question{
		id: "deliveries", statement: "Five deliveries of the provider's one message were taken with 2xx.", expected: "5", query: s.world.curl(log),
		ask: func(ctx context.Context) (string, error) {
			n, err := s.taken(ctx, c)
			return fmt.Sprint(n), err
		},
	})
	s.sawAnswers(ctx, "/v1/webhooks/provider", id, seen)
	s.counts(ctx, "receipts", "Of our own five one receipt was written: the refused ones left nothing behind.", 1, receiptsSQL, id)
	charges := s.checkOnce(ctx, c)
	s.counts(ctx, "early", "The payment whose webhook came first is booked once as well.", 1, ledgerSQL, s.merchant, early.id)
	switch {
	case charges > 1:
		return "applied", nil
	case strings.Join(seen, " ") == rightAnswers:
		return "absorbed", nil
	}
	return "open", nil
}

// rightAnswers are those to what tell sends.
const rightAnswers = "200 200 401 401 400"

func (s *Scene) sawAnswers(ctx context.Context, path, id string, seen []string) {
	s.saw(ctx, "answers", "Ours, the same again, forged, altered, kept back for ten minutes.", rightAnswers, strings.Join(seen, " "), "POST "+s.shop.URL()+path+", five times, with message ids "+id+"-…")
}

// naiveWebhooks: the naive shop believes and does whatever is posted to it. The
// provider does not know it, so the lesson brings the provider's message five
// times, as the card of the storm does.
func naiveWebhooks(ctx context.Context, s *Scene) (string, error) {
	c, err := s.naiveOrder(ctx)
	if err != nil {
		return "", err
	}
	got, err := s.shop.send(ctx, c.capturing(c.ID, "tok_ok"))
	if err != nil {
		return "", err
	}
	s.say(ctx, "%s was paid: %s.", c.ID, got)
	path := "/v1/lab/naive/checkouts/" + c.ID + "/webhook"
	body, err := s.message(ctx, c.ID)
	if err != nil {
		return "", err
	}
	var storm []string
	for range 5 {
		if got, err = s.shop.send(ctx, client.Request{Method: http.MethodPost, Path: path, Raw: body}); err != nil {
			return "", err
		}
		storm = append(storm, fmt.Sprint(got.Status))
	}
	s.say(ctx, "The provider's message came five times, brought by this lesson in the provider's name: %s.", strings.Join(storm, " "))
	id, seen, err := s.tell(ctx, c.ID, path)
	if err != nil {
		return "", err
	}
	b, err := s.finalBill(ctx, c.ID)
	if err != nil {
		return "", err
	}
	s.sawAnswers(ctx, path, id, seen)
	s.judge(ctx, c.ID, b)
	return more(ledgerOf, "applied", "absorbed")(b.effects), nil
}

const receiptsSQL = `SELECT count(*) FROM webhook_receipts WHERE starts_with(message_id, $1)`

func deliveriesPath(c checkout) string {
	return "/v1/webhook-deliveries?reference=" + url.QueryEscape(c.payment)
}

// taken counts deliveries of what the provider told about a payment.
func (s *Scene) taken(ctx context.Context, c checkout) (n int, err error) {
	var log struct {
		Data []struct {
			StatusCode *int `json:"status_code"`
		} `json:"data"`
	}
	err = s.world.get(ctx, deliveriesPath(c), &log)
	for _, one := range log.Data {
		if one.StatusCode != nil && *one.StatusCode/100 == 2 {
			n++
		}
	}
	return n, err
}

// tell sends to a path what the provider might have sent about a reference's
// charge: right, again, forged, altered, and kept back. It returns what each was
// answered.
func (s *Scene) tell(ctx context.Context, reference, path string) (id string, seen []string, err error) {
	body, err := s.message(ctx, reference)
	if err != nil {
		return "", nil, err
	}
	id = "msg_lesson_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	now := time.Now()
	altered := bytes.Replace(body, []byte(`"amount_minor":`), []byte(`"amount_minor":9`), 1)
	stranger := make([]byte, 32)
	if _, err := rand.Read(stranger); err != nil {
		return "", nil, fmt.Errorf("make a stranger's secret: %w", err)
	}
	for _, one := range []struct {
		what   string
		header http.Header
		body   []byte
	}{
		{what: "A message of the provider's", header: webhook.Sign(s.secrets, id, now, body), body: body},
		{what: "The same again", header: webhook.Sign(s.secrets, id, now, body), body: body},
		{what: "One signed by a stranger", header: webhook.Sign([][]byte{stranger}, id+"-forged", now, body), body: body},
		{what: "One whose amount was changed on its way", header: webhook.Sign(s.secrets, id+"-altered", now, body), body: altered},
		{what: "One that was kept back for ten minutes", header: webhook.Sign(s.secrets, id+"-late", now.Add(-10*time.Minute), body), body: body},
	} {
		got, err := s.shop.send(ctx, client.Request{Method: http.MethodPost, Path: path, Header: one.header, Raw: one.body})
		if err != nil {
			return "", nil, err
		}
		s.say(ctx, "%s: %s.", one.what, got)
		seen = append(seen, fmt.Sprint(got.Status))
	}
	return id, seen, nil
}

// message is what the provider's webhook says of a reference's charge.
func (s *Scene) message(ctx context.Context, reference string) ([]byte, error) {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := s.world.get(ctx, chargesPath(reference), &list); err != nil {
		return nil, err
	}
	if len(list.Data) == 0 {
		return nil, errors.New("the provider has no charge to tell of")
	}
	return fmt.Appendf(nil, `{"type":"charge.succeeded","timestamp":%q,"data":%s}`, time.Now().UTC().Format(time.RFC3339), list.Data[0]), nil
}
