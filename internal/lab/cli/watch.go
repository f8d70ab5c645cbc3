package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type watchCommand struct {
	Payment string        `arg:"" optional:"" help:"pay_…; without one everything of the sandbox."`
	For     time.Duration `help:"End after this time; without it Ctrl-C ends." placeholder:"30s"`
	Count   int           `help:"End after so many events." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (watchCommand) Help() string {
	return `One line for each step of each attempt, as it happens: what the X-ray draws. When the line breaks it is opened again and resumed after the last event, so that killing the api neither loses nor doubles a row. In a pipe each line is one JSON object.

Examples:

    payonce watch
    payonce watch pay_…
    payonce watch --for 30s | jq -r .kind | sort | uniq -c`
}

var errEnough = errors.New("enough")

// Run follows the stream.
func (w *watchCommand) Run(r *run) error {
	c, _, err := r.shop()
	if err != nil {
		return err
	}
	ctx := r.ctx
	if w.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.For)
		defer cancel()
	}
	if w.Payment != "" {
		if _, err := client.Get[wire.Payment](ctx, c, "/v1/payments/"+w.Payment); err != nil {
			return err
		}
	}
	shown := 0
	err = c.Follow(ctx, client.Listener{
		Activity: func(a wire.Activity) error {
			if w.Payment != "" && (a.PaymentID == nil || *a.PaymentID != w.Payment) {
				return nil
			}
			if err := r.screen.Each(a, func() string { return r.activity(a) }); err != nil {
				return err
			}
			if shown++; shown == w.Count {
				return errEnough
			}
			return nil
		},
		State: func(state string) { r.screen.Say(lineState(state)) },
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// lineState says what the line does, on standard error.
func lineState(state string) screen.Cell {
	switch state {
	case "live":
		return screen.In(screen.Good, "● live")
	case "lost":
		return screen.In(screen.Open, "○ the line broke; opening it again, and going on after the last event")
	case "reset":
		return screen.In(screen.Open, "○ the journal no longer knows where we were: what happened meanwhile is missing here")
	case "offline":
		return screen.In(screen.Open, "○ the shop is there, its database is not")
	case "online":
		return screen.In(screen.Good, "● the database is back")
	}
	return screen.T(state)
}

// activity is one event on one line.
func (r *run) activity(a wire.Activity) string {
	column := func(c screen.Cell, width int) string {
		return r.screen.Paint(screen.Cell{Text: text.Pad(screen.Plain(c.Text), width, ' '), Tone: c.Tone})
	}
	var rest []string
	add := func(format string, value *string) {
		if value != nil && *value != "" {
			rest = append(rest, fmt.Sprintf(format, *value))
		}
	}
	add("key …%s", a.KeySuffix)
	if a.Attempt != nil {
		rest = append(rest, fmt.Sprintf("#%d", *a.Attempt))
	}
	add("%s", a.Type)
	add("%s", a.Operation)
	add("%s", a.Detail)
	payment := ""
	if a.PaymentID != nil {
		payment = "pay_…" + ending(*a.PaymentID)
	}
	return strings.Join([]string{
		column(screen.In(screen.Soft, a.At.Time().Local().Format("15:04:05.000")), 12),
		column(screen.T(a.Node), 9), column(screen.In(kindTone(a.Kind), string(a.Kind)), 16),
		column(screen.In(screen.Soft, payment), 9), r.screen.Paint(screen.T(strings.Join(rest, "  "))),
	}, "  ")
}

func kindTone(k wire.ActivityKind) screen.Tone {
	switch k {
	case wire.ActivityKindCommitted, wire.ActivityKindApplied, wire.ActivityKindMailSent, wire.ActivityKindProcessUp, wire.ActivityKindRecovered:
		return screen.Good
	case wire.ActivityKindReplayed, wire.ActivityKindWaited, wire.ActivityKindMatched, wire.ActivityKindAbsorbed:
		return screen.Soft
	case wire.ActivityKindDead, wire.ActivityKindRejected, wire.ActivityKindReturned, wire.ActivityKindProcessDown, wire.ActivityKindInterrupted:
		return screen.Bad
	case wire.ActivityKindRetried:
		return screen.Open
	case wire.ActivityKindAttemptReceived, wire.ActivityKindClaimed, wire.ActivityKindChargeSent, wire.ActivityKindChargeAnswered,
		wire.ActivityKindPublished, wire.ActivityKindDelivered:
	}
	return screen.Normal
}
