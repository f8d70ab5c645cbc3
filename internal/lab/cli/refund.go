package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
	"payonce/internal/shop/money"
)

type refundCommand struct {
	Payment string        `arg:"" help:"pay_…"`
	Amount  int64         `help:"Minor units (cents); what is left of the payment when not given." placeholder:"CENTS"`
	Reason  string        `help:"Why." default:"requested_by_customer"`
	Wait    time.Duration `help:"How long to wait for the end of its saga; 0s only asks." default:"1m"`
}

// Help implements kong.HelpProvider.
func (refundCommand) Help() string {
	return `Ledger, tickets, provider and mail share no transaction; a saga takes one step after the other, and undoes them backwards when one is refused before the pivot. Exit code 1 when the money did not go back.

Examples:

    payonce refund pay_…
    payonce refund pay_… --amount 4200 --reason "one seat of two"
    payonce buy --card tok_refund_declined --json | jq -r .payment.id | xargs payonce refund --table`
}

// refunded is a refund with its saga.
type refunded struct {
	Refund wire.Refund `json:"refund"`
	Saga   wire.Saga   `json:"saga"`
}

// Run asks for money back.
func (f *refundCommand) Run(r *run) error {
	if f.Amount < 0 {
		return &usageError{fmt.Sprintf("--amount must be more than nothing, is %d", f.Amount)}
	}
	c, _, err := r.shop()
	if err != nil {
		return err
	}
	result, err := f.ask(r, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, f.Wait)
	defer cancel()
	err = client.Until(ctx, func() (bool, error) {
		if result.Saga, err = client.Get[wire.Saga](r.ctx, c, "/v1/refunds/"+result.Refund.ID+"/saga"); err != nil {
			return false, err
		}
		result.Refund, err = client.Get[wire.Refund](r.ctx, c, "/v1/refunds/"+result.Refund.ID)
		return result.Saga.FinishedAt != nil || result.Saga.State == wire.SagaStateStuck, err
	})
	if err != nil {
		return err
	}
	err = r.screen.Result(result, func() { r.drawRefund(result) })
	if f.Wait > 0 && result.Refund.Status != wire.RefundStatusSucceeded {
		err = errors.Join(err, errShown)
	}
	return err
}

func (f *refundCommand) ask(r *run, c *client.Client) (result refunded, err error) {
	body := wire.NewRefund{PaymentID: f.Payment, Reason: f.Reason}
	if f.Amount > 0 {
		body.AmountMinor = &f.Amount
	}
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	answer, _, err := c.UntilAnswered(ctx, client.Request{Method: http.MethodPost, Path: "/v1/refunds", Key: "refund-" + rand.Text(), Body: body}, r.waiting)
	if err != nil {
		return result, err
	}
	result.Refund, err = client.Read[wire.Refund](answer)
	return result, err
}

func (r *run) drawRefund(f refunded) {
	rows := make([][]screen.Cell, 0, len(f.Saga.Steps))
	for _, step := range f.Saga.Steps {
		name := step.Name
		if step.Pivot {
			name += " (pivot: no way back)"
		}
		problem := ""
		if step.Error != nil {
			problem = *step.Error
		}
		rows = append(rows, []screen.Cell{
			screen.T(string(step.Direction)), screen.T(name), screen.In(stepTone(step.Status), string(step.Status)),
			screen.T(fmt.Sprint(step.Attempts)), screen.T(took(step)), screen.In(screen.Bad, problem),
		})
	}
	r.screen.Table([]string{"way", "step", "status", "sent", "took", "error"}, rows)
	r.screen.Line()
	sum := money.Of(f.Refund.AmountMinor, f.Refund.Currency).String()
	switch f.Refund.Status {
	case wire.RefundStatusSucceeded:
		r.screen.Line(screen.In(screen.Good, sum+" went back, once."), screen.In(screen.Soft, f.Refund.ID))
	case wire.RefundStatusFailed:
		why := "refused"
		if f.Refund.FailureCode != nil {
			why = *f.Refund.FailureCode
		}
		r.screen.Line(screen.In(screen.Bad, "Nothing went back: "+why+". What was done is undone."), screen.In(screen.Soft, f.Refund.ID))
	case wire.RefundStatusPending:
		r.screen.Line(screen.In(screen.Open, sum+" is reserved; the saga is "+string(f.Saga.State)+"."), screen.In(screen.Soft, f.Refund.ID))
	}
}

func stepTone(s wire.SagaStepStatus) screen.Tone {
	switch s {
	case wire.SagaStepStatusDone:
		return screen.Good
	case wire.SagaStepStatusFailed:
		return screen.Bad
	case wire.SagaStepStatusStarted, wire.SagaStepStatusWaiting:
		return screen.Open
	case wire.SagaStepStatusPending, wire.SagaStepStatusSkipped:
	}
	return screen.Soft
}

func took(s wire.SagaStep) string {
	if s.StartedAt == nil || s.FinishedAt == nil {
		return ""
	}
	return fmt.Sprintf("%d ms", s.FinishedAt.Time().Sub(s.StartedAt.Time()).Milliseconds())
}
