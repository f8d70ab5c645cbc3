package outbox

import (
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/rabbit"
)

// point is a crash point of the relay, about the events in hand. An error that
// it injects is the failure of the step that follows.
func point(name string, rows ...row) error {
	if !fault.Enabled {
		return nil
	}
	ids := make([]uuid.UUID, 0, 2*len(rows))
	for _, r := range rows {
		ids = append(ids, r.Scope.UUID, r.Correlation.UUID)
	}
	return fault.Point(name, ids...)
}

// sent is the crash point after an event was handed to the broker. What follows
// is its confirm: injected to fail, nobody hears of it.
func (e *engine) sent(r row) {
	if err := point("relay.after_publish", r); err != nil {
		e.unheard[r.Seq] = errors.Join(rabbit.ErrUnconfirmed, err)
	}
}

// heard is the crash point after a confirm. Injected to fail, or unheard, the
// confirm is as good as lost and the event is sent again.
func (e *engine) heard(f fate) error {
	if f.err != nil {
		return f.err
	}
	if err, lost := e.unheard[f.row.Seq]; lost {
		delete(e.unheard, f.row.Seq)
		return err
	}
	return point("relay.after_confirm", f.row)
}
