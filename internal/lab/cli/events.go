package cli

import (
	"errors"
	"fmt"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type eventsCommand struct {
	Resend   resendEvents   `cmd:"" help:"Send a consumer's events of a time again, that it has not applied."`
	TakeBack takeBackEvents `cmd:"" help:"Take back what was sent again and has not left yet."`
}

// Help implements kong.HelpProvider.
func (eventsCommand) Help() string {
	return `For events that the broker confirmed and lost: the alert event_not_applied names the consumer and the time. They go to that consumer alone, under their own ids, so that twice is once. Both need the operator's token, and are kept with the reason.

Examples:

    payonce events resend --consumer ledger --from 2026-11-28T14:00:00Z --until 2026-11-28T14:05:00Z --reason "the queue was purged"
    payonce events take-back --consumer ledger --from 2026-11-28T14:00:00Z --until 2026-11-28T14:05:00Z --reason "the wrong hour"`
}

// period is which events of a consumer, and why.
type period struct {
	Consumer string    `help:"Whose queue; no other consumer gets anything." required:"" placeholder:"NAME"`
	From     time.Time `help:"Events that were born from then on, such as 2026-11-28T14:00:00Z." required:"" placeholder:"TIME"`
	Until    time.Time `help:"Up to then." required:"" placeholder:"TIME"`
	Reason   string    `help:"Why. It is kept with the command." required:""`
}

// ask sends the command once: it has no key, and what it did is seen by asking again.
func ask[T any](r *run, p period, path string) (done T, err error) {
	c, err := r.asked(true)
	if err != nil {
		return done, err
	}
	done, err = client.Post[T](r.ctx, c, path, wire.EventResendRequest{
		Consumer: p.Consumer, From: wire.At(p.From), Until: wire.At(p.Until), Reason: p.Reason,
	})
	if errors.Is(err, client.ErrSilence) {
		return done, advise(err, "It may be done or not. Ask again: what waits is not queued twice, and what left is not taken back.")
	}
	return done, err
}

type resendEvents struct{ period }

// Run sends again.
func (e *resendEvents) Run(r *run) error {
	sent, err := ask[wire.EventResend](r, e.period, "/v1/ops/events/resend")
	if err != nil {
		return err
	}
	return r.screen.Result(sent, func() {
		r.screen.Line(screen.In(screen.Good, amount(&sent.Queued, "event", "", "s")+" for "+sent.Consumer), screen.T("on the way, or waiting for the queue"))
		if !sent.Complete {
			r.screen.Line(screen.In(screen.Open, "There are more: give the same command again."))
		}
	})
}

type takeBackEvents struct{ period }

// Run takes back.
func (e *takeBackEvents) Run(r *run) error {
	back, err := ask[wire.EventTakeBack](r, e.period, "/v1/ops/events/take-back")
	if err != nil {
		return err
	}
	return r.screen.Result(back, func() {
		r.screen.Line(screen.In(screen.Good, fmt.Sprintf("%s for %s taken back", amount(&back.TakenBack, "event", "", "s"), back.Consumer)), screen.T("not sent"))
	})
}
