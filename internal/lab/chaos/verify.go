package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/client"
	"payonce/internal/shop/provider/simulated"
)

// historyPatience bounds the search for sequential histories.
const historyPatience = time.Minute

// check asks every question that a campaign ends with.
func (c *campaign) check(ctx context.Context, log []Entry) error {
	c.Say("checking")
	r := c.report
	r.readLog(log)
	r.Captures, r.Unanswered = int(c.market.captured.Load()), int(c.market.unanswered.Load())
	r.readDirector(c.director)
	r.Doors = c.director.doors.report()
	r.invariant("other_doors", "safety", "who went through them", c.director.doors.wrong)
	if !c.FaultsOnly {
		if err := c.checkDoors(ctx); err != nil {
			return err
		}
	}
	r.explain()
	if err := r.readTables(ctx, c.db); err != nil {
		return err
	}
	if err := c.checkInvariants(ctx); err != nil {
		return err
	}
	truth, err := truthOf(ctx, c.db)
	if err != nil {
		return err
	}
	truth.Hand = c.hand.all()
	r.Sagas = truth.sagas()
	r.invariant("no_early_2xx", "safety", "clients' log", NoEarly2xx(log, truth))
	r.invariant("replay_identical", "safety", "clients' log", ReplayIdentical(log))
	illegal, undecided := Linearizable(log, truth, historyPatience)
	r.Histories, r.Undecided = len(historiesOf(log)), len(undecided)
	r.invariant("capture_history", "safety", "porcupine", illegal)

	copies := c.tap.heard()
	for _, n := range copies {
		r.Copies += n
	}
	r.Events = len(copies)
	verdicts, wrong, err := judgeAll(ctx, c.db, copies)
	if err != nil {
		return err
	}
	r.Verdicts = verdicts
	r.invariant("event_verdicts", "liveness", "outbox, inbox and a tap at the broker", wrong)

	poison := c.tap.poisoned()
	unburied, err := judgePoison(ctx, c.db, poison, c.director.doors.ruled())
	if err != nil {
		return err
	}
	r.Poison = len(poison)
	r.invariant("poison_is_dead", "liveness", "dead letters", unburied)

	for _, name := range c.order {
		if name == simulator {
			continue // it is the outside world: it may know card tokens
		}
		if err := c.scan.log(name, c.programs[name].logFile); err != nil {
			return err
		}
	}
	r.invariant("clean_logs", "safety", "logs and messages", c.scan.findings)
	return nil
}

// checkDoors compares what was made by hand with our books, and asks which alerts
// are left.
func (c *campaign) checkDoors(ctx context.Context) error {
	apart, err := c.hand.judge(ctx, c.db)
	if err != nil {
		return err
	}
	c.report.invariant("by_hand_is_booked", "liveness", "who made it at the provider", apart)
	left, err := judgeAlerts(ctx, c.db)
	c.report.invariant("alerts_are_over", "liveness", "alerts", left)
	return err
}

// checkInvariants asks edge/audit twice: the operator's page of a fresh api,
// and once more without the grace that the page gives to what is young. The
// house is at rest: nothing needs time any more.
func (c *campaign) checkInvariants(ctx context.Context) error {
	strict := audit.New(audit.Options{
		DB: c.db, Books: simulated.New(simulated.Config{URL: c.simulatorURL, APIKey: c.secret["PAYONCE_PROVIDER_KEY"], ConnectTimeout: time.Second}),
		Mailbox: bursts.NewMailbox(c.simulatorURL), Grace: time.Millisecond, Limit: 2 * time.Minute,
	})
	all, err := strict.CheckAll(ctx)
	if err != nil {
		return err
	}
	for _, i := range all.Invariants {
		by := "edge/audit"
		violations := i.Violations
		if !i.Observable {
			violations = append(violations, "not observable: "+i.Unseen)
		}
		c.report.invariant(i.ID, string(i.Kind), by, violations)
	}
	api, err := c.auditor(ctx)
	if err != nil {
		return err
	}
	c.Say("asking a fresh api for the operator's audit")
	var dissent []string
	said, err := c.insist(ctx, api)
	if err != nil {
		dissent = append(dissent, err.Error())
	}
	for _, i := range said.Invariants {
		if !i.OK {
			dissent = append(dissent, fmt.Sprintf("%s: %v", i.ID, i.Violations))
		}
	}
	c.report.invariant("fresh_api_agrees", "safety", "GET /v1/audit", dissent)
	return nil
}

type auditAnswer struct {
	OK         bool `json:"ok"`
	Invariants []struct {
		ID         string   `json:"id"`
		OK         bool     `json:"ok"`
		Violations []string `json:"violations"`
	} `json:"invariants"`
}

// insist asks again for a while: the audit of everything has its own deadline,
// which a busy machine can miss.
func (c *campaign) insist(ctx context.Context, api *part) (said auditAnswer, err error) {
	for range 5 {
		if said, err = c.ask(ctx, api); err == nil || ctx.Err() != nil {
			break
		}
		wait(ctx, 2*time.Second)
	}
	return said, err
}

// auditPatience is longer than the deadline that the audit of everything has.
const auditPatience = 5 * time.Minute

func (c *campaign) ask(ctx context.Context, api *part) (said auditAnswer, err error) {
	shop := client.New(api.URL, c.secret["PAYONCE_OPERATOR_TOKEN"], client.Options{Timeout: auditPatience})
	answer, err := shop.Send(ctx, client.Request{Method: http.MethodGet, Path: "/v1/audit"})
	if err != nil {
		return said, err
	}
	if answer.Status != http.StatusOK {
		return said, fmt.Errorf("GET /v1/audit: %d %s", answer.Status, answer.Body)
	}
	return said, json.Unmarshal(answer.Body, &said)
}
