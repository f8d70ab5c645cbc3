package lesson

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
)

// userAgent is how a lesson introduces itself.
const userAgent = "payonce-lesson"

// party is one of the parties, spoken to over HTTP.
type party struct {
	name, apiKey string
	*client.Client
}

// partyAt makes a party; with an empty apiKey it is asked without one.
func partyAt(name, url, apiKey string) party {
	return party{name, apiKey, client.New(url, apiKey, client.Options{
		UserAgent: userAgent, Timeout: 40 * time.Second, Idle: 8, Longest: 4 << 20,
	})}
}

// answer is what came back, whole.
type answer struct{ client.Answer }

// String is for steps and errors: the status, and the problem's kind if it is one.
func (a answer) String() string {
	var problem wire.Problem
	if json.Unmarshal(a.Body, &problem) == nil && problem.Type != "" {
		return fmt.Sprintf("%d %s", a.Status, strings.TrimPrefix(problem.Type, "/problems/"))
	}
	return fmt.Sprint(a.Status)
}

func (a answer) into(v any) error {
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	return nil
}

// send sends one request, once: a second delivery must be the scenario's decision.
func (p party) send(ctx context.Context, q client.Request) (answer, error) {
	got, err := p.Send(ctx, q)
	if err != nil {
		err = fmt.Errorf("ask %s: %w", p.name, err)
	}
	return answer{got}, err
}

// get reads a resource once; anything but 200 is an error.
func (p party) get(ctx context.Context, path string, into any) error {
	got, err := p.send(ctx, client.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	if got.Status != http.StatusOK {
		return fmt.Errorf("%s answered %s for %s", p.name, got, path)
	}
	return got.into(into)
}

// curl is the line with which a person asks the same.
func (p party) curl(path string) string {
	if p.apiKey == "" {
		return fmt.Sprintf("curl -s '%s%s'", p.URL(), path)
	}
	return fmt.Sprintf(`curl -s -H "Authorization: Bearer $API_KEY" '%s%s'`, p.URL(), path)
}

// idOf reads a payment's id; uuid.Nil is no payment's.
func idOf(payment string) uuid.UUID {
	id, _ := wire.PrefixPayment.Parse(payment)
	return id
}

// curlOf is the line with which a person sends the same request again.
func (p party) curlOf(q client.Request) string {
	parts := []string{"curl -s -X " + q.Method}
	if p.apiKey != "" {
		parts = append(parts, `-H "Authorization: Bearer $API_KEY"`)
	}
	if q.Key != "" {
		parts = append(parts, "-H 'Idempotency-Key: "+q.Key+"'")
	}
	body := q.Raw
	if q.Body != nil {
		body, _ = json.Marshal(q.Body) // it was marshalled when it was sent
	}
	if body != nil {
		parts = append(parts, "-H 'Content-Type: application/json' -d '"+string(body)+"'")
	}
	return strings.Join(append(parts, "'"+p.URL()+q.Path+"'"), " ")
}
