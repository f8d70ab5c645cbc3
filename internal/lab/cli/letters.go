package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type lettersCommand struct {
	All bool `help:"Everybody's, and those that belong to nobody; needs the operator's token."`

	List    listLetters   `cmd:"" default:"withargs" help:"What could not be applied, newest first."`
	Show    showLetter    `cmd:"" help:"One letter with its message and what was decided about it."`
	Replay  replayLetter  `cmd:"" help:"Send the event again, to the one consumer that could not apply it."`
	Apply   applyLetter   `cmd:"" help:"Apply an old event by its business key, past the replay limit."`
	Discard discardLetter `cmd:"" help:"Give the event up."`

	TakeBack takeBackLetter `cmd:"" help:"Take back a replay that has not left yet."`
}

// Help implements kong.HelpProvider.
func (lettersCommand) Help() string {
	return `A message ends here when every retry was tried, or when none would help. What is decided is kept, with the reason.

Examples:

    payonce dead-letters
    payonce dead-letters show dlt_…
    payonce dead-letters replay dlt_… --reason "the ledger reads schema 2 since today"
    payonce dead-letters list --all --state open`
}

type listLetters struct {
	State string `help:"Only letters in this state: open, replayed, discarded or applied." enum:",open,replayed,discarded,applied" default:""`
	Limit int    `help:"How many at most, 1 … 100." default:"20"`
}

// Run lists.
func (l *listLetters) Run(r *run) error {
	if l.Limit < 1 || l.Limit > 100 {
		return &usageError{fmt.Sprintf("--limit must be 1 … 100, is %d", l.Limit)}
	}
	c, err := r.asked(r.grammar.DeadLetters.All)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {fmt.Sprint(l.Limit)}}
	if l.State != "" {
		query.Set("state", l.State)
	}
	list, err := client.Get[wire.DeadLetterList](r.ctx, c, lettersPath+"?"+query.Encode())
	if err != nil {
		return err
	}
	return r.screen.Result(list, func() {
		if len(list.Data) == 0 {
			r.screen.Line(screen.In(screen.Good, "No dead letters."))
		} else {
			r.drawLetters(list.Data)
		}
		if list.ForeignOpen > 0 {
			r.screen.Line(screen.In(screen.Soft, fmt.Sprintf("%d open ones of others; the operator sees them with --all", list.ForeignOpen)))
		}
	})
}

const lettersPath = "/v1/ops/dead-letters"

func (r *run) drawLetters(all []wire.DeadLetter) {
	rows := make([][]screen.Cell, 0, len(all))
	for _, l := range all {
		can := make([]string, 0, len(l.Actions))
		for _, action := range l.Actions {
			can = append(can, string(action))
		}
		rows = append(rows, []screen.Cell{
			screen.T(l.ID), screen.In(letterTone(l.State), string(l.State)), screen.T(l.Consumer), screen.T(l.Type), screen.T(l.Class),
			screen.T(fmt.Sprint(l.Attempts)), screen.T(l.Reason), screen.In(screen.Soft, l.LastFailedAt.Time().Local().Format("02 Jan 15:04:05")),
			screen.T(strings.Join(can, ", ")),
		})
	}
	r.screen.Table([]string{"letter", "state", "consumer", "type", "class", "tries", "reason", "failed at", "you can"}, rows)
}

func letterTone(s wire.DeadLetterState) screen.Tone {
	switch s {
	case wire.DeadLetterStateOpen:
		return screen.Bad
	case wire.DeadLetterStateReplayed, wire.DeadLetterStateApplied:
		return screen.Good
	case wire.DeadLetterStateDiscarded:
		return screen.Soft
	}
	return screen.Normal
}

type letter struct {
	ID string `arg:"" name:"letter" help:"dlt_…"`
}

func (l letter) path() string { return lettersPath + "/" + url.PathEscape(l.ID) }

type showLetter struct{ letter }

// Run shows one.
func (l *showLetter) Run(r *run) error {
	c, err := r.asked(r.grammar.DeadLetters.All)
	if err != nil {
		return err
	}
	detail, err := client.Get[wire.DeadLetterDetail](r.ctx, c, l.path())
	if err != nil {
		return err
	}
	return r.screen.Result(detail, func() {
		r.drawLetters([]wire.DeadLetter{detail.Letter})
		if detail.Payload != nil {
			r.screen.Line()
			r.screen.Line(screen.In(screen.Strong, "Message"))
			r.screen.Line(screen.T(*detail.Payload))
		}
		for _, d := range detail.Decisions {
			r.screen.Line(screen.In(screen.Strong, string(d.Action)), screen.T("by "+d.Who+": "+d.Reason), screen.In(screen.Soft, d.At.String()))
		}
	})
}

type decision struct {
	letter
	Reason string `help:"Why. It is kept with the decision." required:""`
}

func (d *decision) decide(r *run, action string) error {
	c, err := r.asked(r.grammar.DeadLetters.All)
	if err != nil {
		return err
	}
	// The shop has no key for a decision: the letter's state is the key, and the
	// second is refused. Sent once, therefore; after silence, look.
	decided, err := client.Post[wire.DeadLetter](r.ctx, c, d.path()+"/"+action, wire.DecisionRequest{Reason: d.Reason})
	if errors.Is(err, client.ErrSilence) {
		return advise(err, "It may be decided or not. Look: payonce dead-letters show "+d.ID)
	}
	if err != nil {
		return err
	}
	return r.screen.Result(decided, func() { r.drawLetters([]wire.DeadLetter{decided}) })
}

type (
	replayLetter  struct{ decision }
	applyLetter   struct{ decision }
	discardLetter struct{ decision }

	takeBackLetter struct{ decision }
)

// Run replays.
func (l *replayLetter) Run(r *run) error { return l.decide(r, "replay") }

// Run applies.
func (l *applyLetter) Run(r *run) error { return l.decide(r, "apply") }

// Run discards.
func (l *discardLetter) Run(r *run) error { return l.decide(r, "discard") }

// Run takes a replay back.
func (l *takeBackLetter) Run(r *run) error { return l.decide(r, "take-back") }
