package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type auditCommand struct {
	All  bool          `help:"Everybody's rows; needs the operator's token."`
	Wait time.Duration `help:"How long to wait for what is still on its way." placeholder:"30s"`
}

// Help implements kong.HelpProvider.
func (auditCommand) Help() string {
	return `Each invariant is a query against the shop's own tables and against the lists of the provider and the mailbox. Exit code 1 when one does not hold; invariants of liveness may be red for the moment that an effect takes to arrive.

Examples:

    payonce audit
    payonce audit --all --wait 30s
    payonce audit --json | jq '.invariants[] | select(.ok | not)'`
}

// Run checks.
func (a *auditCommand) Run(r *run) error {
	c, err := r.asked(a.All)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, a.Wait)
	defer cancel()
	var audit wire.Audit
	err = client.Until(ctx, func() (bool, error) {
		audit, err = client.Get[wire.Audit](r.ctx, c, "/v1/audit")
		return audit.Ok, err
	})
	if err != nil {
		return err
	}
	err = r.screen.Result(audit, func() { r.drawAudit(audit) })
	if !audit.Ok {
		err = errors.Join(err, errShown)
	}
	return err
}

func (r *run) drawAudit(audit wire.Audit) {
	rows := make([][]screen.Cell, 0, len(audit.Invariants))
	failed := 0
	for _, i := range audit.Invariants {
		state := screen.In(screen.Good, "✓ holds")
		switch {
		case !i.Observable:
			state = screen.In(screen.Open, "? cannot be asked")
		case !i.Ok:
			failed++
			state = screen.In(screen.Bad, "✗ does not hold")
		}
		offenders := strings.Join(i.Violations, "\n")
		if i.ForeignViolations > 0 {
			offenders = strings.TrimSpace(fmt.Sprintf("%s\n%d of others", offenders, i.ForeignViolations))
		}
		rows = append(rows, []screen.Cell{state, screen.T(i.ID), screen.In(screen.Soft, string(i.Kind)), screen.T(i.Statement), screen.In(screen.Bad, offenders)})
	}
	r.screen.Table([]string{"", "invariant", "kind", "statement", "offenders"}, rows)
	r.screen.Line()
	at := audit.CheckedAt.Time().Local().Format("15:04:05")
	if audit.Ok {
		r.screen.Line(screen.In(screen.Good, fmt.Sprintf("All %d hold, checked at %s.", len(rows), at)))
		return
	}
	r.screen.Line(screen.In(screen.Bad, fmt.Sprintf("%d of %d do not hold, checked at %s.", failed, len(rows), at)))
}
