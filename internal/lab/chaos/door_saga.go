package chaos

import (
	"context"
	"net/http"
)

// This file holds what the operator does about sagas that need a person: those
// whose command or reply the broker lost until after its deadline.

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
