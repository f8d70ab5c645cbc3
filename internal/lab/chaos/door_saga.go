package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/shop/event"
	"payonce/once/saga"
)

// This file holds what a person does about sagas that need one: those whose command or
// reply the broker lost until after its deadline, and those that the provider's books
// contradict.

// mayDecideSQL says whose refund a saga is, and whether its number is even: of the
// market's refunds the operator gives up every second one, where the provider's
// books allow it. A door waits for the end that it caused.
const mayDecideSQL = `
SELECT s.state = 'stuck' AS stuck, get_byte(uuid_send(s.id), 15) % 2 = 0 AND o.email !~ $2 AS decide
  FROM sagas s JOIN payments p ON p.id = s.correlation_id JOIN orders o ON o.id = p.order_id
 WHERE s.id = $1::uuid`

// visitorsBegin is how the addresses of visitors begin, of whom there are less
// than a thousand.
const visitorsBegin = `^buyer-1[0-9]{3}-`

// unstick decides about a stuck saga, or has its command sent once more. A decision
// that the provider's books contradict is refused, and then the command is sent.
func (d *doors) unstick(ctx context.Context, a openAlert) error {
	if !d.due(a.Subject) {
		return nil
	}
	path := "/v1/ops/sagas/" + a.Subject
	var saga struct {
		Stuck  bool `db:"stuck"`
		Decide bool `db:"decide"`
	}
	if err := d.read(ctx, &saga, mayDecideSQL, bare(a.Subject), visitorsBegin); err != nil || !saga.Stuck {
		return err // at the pivot it asks by itself, and nothing is to be decided
	}
	if saga.Decide {
		s, _, err := d.operator(ctx, http.MethodPost, path+"/resolve", map[string]any{"outcome": "compensated", "reason": "it was not answered"})
		if err != nil {
			return err
		}
		d.acted("gives a stuck saga up", s.String())
		if s.problem != "saga-decision-contradicted" && s.problem != "saga-past-pivot" {
			return nil
		}
	}
	return d.post(ctx, "has a stuck saga's command sent again", path+"/retry", nil)
}

const (
	sagaOfSQL  = `SELECT saga_id FROM refunds WHERE id = $1::uuid`
	stateOfSQL = `SELECT state FROM sagas WHERE id = $1::uuid`

	commandLettersSQL = `
SELECT id FROM dead_letters WHERE consumer = $1 AND state = 'open' AND strpos(convert_from(payload, 'UTF8'), $2) > 0`

	odd = 100 // of the refund's minor units: no refund of the campaign has that amount
)

// decided has the provider give a part of a refund back under that refund's own key, so
// that its saga stays at the pivot until a person decides. *Completed* is refused, for
// that money has not gone; *compensated* is carried out, and the part is booked as what
// it is. The command, among the dead letters by now, is answered from memory.
func (d *doors) decided(ctx context.Context, b *buyer, _ string) (string, error) {
	key := fmt.Sprintf("decide-%d", b.no)
	k, charge, err := b.paid(ctx, "tok_ok")
	if err != nil {
		return "", err
	}
	ours := b.giveBack(ctx, k, key, 0)
	if ours.Status != http.StatusAccepted {
		return "", fmt.Errorf("the refund of %s: %d %s", k.payment, ours.Status, ours.Problem)
	}
	hand, err := d.refundByHand(ctx, "refund:"+ours.Refund, k, charge, odd)
	if errors.Is(err, errNotMade) {
		_, err = d.refundsEnd(ctx, k)
		return "ours was first", err
	}
	var id uuid.UUID
	if err == nil {
		err = d.read(ctx, &id, sagaOfSQL, bare(ours.Refund))
	}
	if err != nil {
		return "", err
	}
	end, err := d.decide(ctx, id)
	if err != nil {
		return "", err
	}
	if err := d.replayCommands(ctx, id); err != nil {
		return "", err
	}
	through, err := d.refundsEnd(ctx, k)
	if err != nil {
		return "", err
	}
	if through > 0 {
		d.amiss("%s: %d refunds went through beside one of another amount", k.payment, through)
	}
	return end, d.booked(ctx, hand)
}

// decide says once that the saga's step is done, and then that it is undone, until the
// saga has ended.
func (d *doors) decide(ctx context.Context, id uuid.UUID) (end string, err error) {
	name := wire.PrefixSaga.ID(id)
	d.keep(name)
	path := "/v1/ops/sagas/" + name + "/resolve"
	as := saga.Completed
	for ctx.Err() == nil {
		var state saga.State
		if err := d.read(ctx, &state, stateOfSQL, id); err != nil {
			return "", err
		}
		switch {
		case state == saga.Completed:
			d.amiss("%s was decided as completed, and its money has not gone", name)
			return "completed", nil
		case state == saga.Compensated && as == saga.Completed:
			return "given up before the pivot", nil
		case state == saga.Compensated:
			return "decided: undone, and the part is booked", nil
		case state == saga.Stuck:
			s, _, err := d.operator(ctx, http.MethodPost, path, map[string]any{"outcome": as, "reason": "the provider gave another amount back"})
			if err != nil {
				return "", err
			}
			d.acted("decides that a stuck saga is "+string(as), s.String())
			if s.problem == "saga-decision-contradicted" {
				as = saga.Compensated
			}
		}
		wait(ctx, time.Second)
	}
	return "", ctx.Err()
}

// replayCommands sends the commands of a saga again that are dead letters, until none
// is. Each is answered from what its participant remembers.
func (d *doors) replayCommands(ctx context.Context, of uuid.UUID) error {
	for ctx.Err() == nil {
		var letters []uuid.UUID
		if err := d.db.Select(ctx, &letters, commandLettersSQL, event.ConsumerProvider, of.String()); err == nil && len(letters) == 0 {
			return nil
		}
		for _, id := range letters {
			if err := d.post(ctx, "replays a decided command", "/v1/ops/dead-letters/"+wire.PrefixLetter.ID(id)+"/replay",
				map[string]any{"reason": "its saga was decided"}); err != nil {
				return err
			}
		}
		wait(ctx, time.Second)
	}
	return ctx.Err()
}
