package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type burstCommand struct {
	basket
	Payment  string `arg:"" optional:"" help:"pay_…; without one an order is placed first."`
	Attempts int    `help:"How many clicks at once." default:"20"`
	Keys     string `help:"One key for all of them, or a fresh one for each." enum:"same,fresh" default:"same"`
}

// Help implements kong.HelpProvider.
func (burstCommand) Help() string {
	return `A browser opens six connections to a host; the shop's burst runner opens as many as it takes and sends real HTTP from outside of the api. Only a lab build has it.

Examples:

    payonce burst --attempts 50
    payonce burst --attempts 50 --keys fresh
    payonce burst pay_… --attempts 10        clicks again for what is paid already`
}

// burstResult is the burst and what became of the payment.
type burstResult struct {
	Burst bursts.Burst `json:"burst"`
	evidence
}

// Run fires the burst.
func (b *burstCommand) Run(r *run) error {
	if b.Attempts < 1 || b.Attempts > 100 {
		return &usageError{fmt.Sprintf("--attempts must be 1 … 100, is %d", b.Attempts)}
	}
	c, who, err := r.shop()
	if err != nil {
		return err
	}
	payment := b.Payment
	if payment == "" {
		ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		order, err := b.order(ctx, r, c, who)
		if err != nil {
			return err
		}
		payment = order.Payment.ID
		if !r.screen.JSON() {
			r.drawOrder(order)
		}
	}
	var result burstResult
	asked := map[string]any{"payment_id": payment, "attempts": b.Attempts, "keys": b.Keys, "card_token": b.Card}
	if result.Burst, err = client.Post[bursts.Burst](r.ctx, c, "/v1/lab/bursts", asked); err != nil {
		return labOnly(r, c, err, "no burst runner")
	}
	by := senders{gateway: true}
	if result.evidence, err = gather(r, c, payment, by, answered(result.Burst)); err != nil {
		return err
	}
	err = r.screen.Result(result, func() {
		r.screen.Line(screen.T(burstWords(result.Burst)))
		r.drawEvidence(result.evidence, by)
	})
	return errors.Join(err, result.bad())
}

func answered(b bursts.Burst) (n int64) {
	for _, a := range b.Answers {
		if a.Status != 0 {
			n++
		}
	}
	return n
}

// burstWords is "20 answers in 0.3 s: 20 × 200; 19 replayed, 0 matched; 1 body".
func burstWords(b bursts.Burst) string {
	statuses := make([]string, 0, len(b.Statuses))
	for _, status := range slices.Sorted(maps.Keys(b.Statuses)) {
		name := status
		if status == "0" {
			name = "no answer"
		}
		statuses = append(statuses, fmt.Sprintf("%d × %s", b.Statuses[status], name))
	}
	distinct := int64(b.DistinctBodies)
	return fmt.Sprintf("%d clicks at once took %.1f s: %s; %d replayed, %d matched; %s", b.Attempts, float64(b.TookMS)/1000,
		strings.Join(statuses, ", "), b.Replayed, b.Matched, amount(&distinct, "distinct bod", "y", "ies"))
}

// labOnly tells a shop that has no laboratory from a payment that is not there.
func labOnly(r *run, c *client.Client, err error, what string) error {
	if !client.Is(err, wire.KindNotFound) {
		return err
	}
	if _, missing := client.Get[struct{}](r.ctx, c, "/v1/lab/faults"); client.Is(missing, wire.KindNotFound) {
		return advise(fmt.Errorf("this shop has %s: it is not a lab build", what), "make demo starts one that is.")
	}
	return err
}
