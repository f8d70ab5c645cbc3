package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"payonce/internal/edge/delivery"
	"payonce/internal/lab/client"
)

// This file holds the operator, who works through the api that others are killing:
// the alerts that a person ends, and what must be done before.

// ended are the kinds of alerts that must be over when the house is at rest: what
// was made by hand is booked, or a person has ended it.
var ended = []string{
	"provider_unknown_charge", "provider_unknown_refund", "provider_contradiction", "refund_contradiction", "ticket_used",
	"event_not_applied", "saga_stuck",
}

// said is an answer to the operator.
type said struct {
	status  int
	problem string
	body    []byte
}

func (s said) String() string { return strings.TrimSpace(fmt.Sprint(s.status, " ", s.problem)) }

// operator asks as the operator until there is an answer that says something.
func (d *doors) operator(ctx context.Context, method, path string, body any) (s said, times int, err error) {
	by := client.New("", d.secret["PAYONCE_OPERATOR_TOKEN"], client.Options{Timeout: patience})
	defer by.CloseIdle()
	for ctx.Err() == nil {
		times++
		answer, err := by.At(d.apiURL[apis[times%len(apis)]]).Send(ctx, client.Request{Method: method, Path: path, Body: body})
		if err == nil && answer.Status < 500 && answer.Status != http.StatusTooManyRequests {
			s = said{status: answer.Status, body: answer.Body}
			var problem struct {
				Type string `json:"type"`
			}
			if answer.Status >= 400 && json.Unmarshal(answer.Body, &problem) == nil {
				s.problem = strings.TrimPrefix(problem.Type, "/problems/")
			}
			return s, times, nil
		}
		wait(ctx, 200*time.Millisecond)
	}
	return s, times, ctx.Err()
}

// acted counts what the operator did, by how it was answered.
func (d *doors) acted(what, how string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.acts[what] == nil {
		d.acts[what] = map[string]int{}
	}
	d.acts[what][how]++
}

// openAlert is what the operator reads of an alert.
type openAlert struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Subject string         `json:"subject"`
	Facts   map[string]any `json:"facts"`
}

func (a openAlert) fact(name string) string {
	s, _ := a.Facts[name].(string)
	return s
}

// openAlerts reads all pages.
func (d *doors) openAlerts(ctx context.Context) (all []openAlert, err error) {
	for cursor := ""; ; {
		path := "/v1/ops/alerts?state=open&limit=100"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		s, _, err := d.operator(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data []openAlert `json:"data"`
			Next *string     `json:"next_cursor"`
		}
		if err := json.Unmarshal(s.body, &page); err != nil || s.status != http.StatusOK {
			return nil, fmt.Errorf("GET %s: %d %.200s", path, s.status, s.body)
		}
		all = append(all, page.Data...)
		if page.Next == nil {
			return all, nil
		}
		cursor = *page.Next
	}
}

// attendEvery is how often the operator looks.
const attendEvery = time.Second

// attend looks after the open alerts and letters once. What cannot be ended yet is
// looked at again.
func (d *doors) attend(ctx context.Context) error {
	alerts, err := d.openAlerts(ctx)
	if err != nil {
		return err
	}
	for _, a := range alerts {
		if err := d.lookAfter(ctx, a); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(alerts, func(a openAlert) bool { return a.Kind == delivery.AlertNotApplied.Name }) {
		return nil
	}
	return d.replayInnocent(ctx)
}

// lookAfter does what the remedy of the alert's kind says, for what the campaign
// did itself. Everything else stays open, for the checks.
func (d *doors) lookAfter(ctx context.Context, a openAlert) error {
	switch a.Kind {
	case "provider_unknown_charge":
		if _, known := d.hand.stray(a.Subject); !known {
			return nil
		}
		if err := d.giveStrayBack(ctx, a.Subject); err != nil {
			return err
		}
		return d.resolveAlert(ctx, a)
	case "provider_contradiction":
		charge := a.fact("object")
		if _, known := d.hand.stray(charge); !known || !strings.HasPrefix(a.Subject, "pay_") {
			return nil
		}
		if err := d.giveStrayBack(ctx, charge); err != nil {
			return err
		}
		return d.post(ctx, "keeps ours of a payment with a stray charge", "/v1/ops/payments/"+a.Subject+"/resolve",
			map[string]any{"decision": "keep_ours", "reason": "the charge was made by hand and has gone back"})
	case "provider_unknown_refund": // of a charge that is no payment's: the others are booked
		if d.hand.gaveBack(a.Subject) {
			return d.resolveAlert(ctx, a)
		}
	case "event_not_applied":
		return d.sendAgain(ctx, a)
	case "saga_stuck":
		return d.unstick(ctx, a)
	case "ticket_used":
		if _, ours := d.hand.refund(a.fact("object")); ours {
			return d.resolveAlert(ctx, a)
		}
	}
	return nil
}

func (d *doors) resolveAlert(ctx context.Context, a openAlert) error {
	return d.post(ctx, "resolves "+a.Kind, "/v1/ops/alerts/"+a.ID+"/resolve", map[string]any{"reason": "made by hand, and looked into"})
}

// post does one act of the operator and counts its answer.
func (d *doors) post(ctx context.Context, what, path string, body any) error {
	s, _, err := d.operator(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	d.acted(what, s.String())
	if s.status == http.StatusBadRequest || s.status == http.StatusUnauthorized || s.status == http.StatusForbidden {
		return fmt.Errorf("POST %s: %d %.200s", path, s.status, s.body)
	}
	return nil
}
