package outbox

import (
	"github.com/google/uuid"

	"payonce/internal/platform/fault"
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

// sent is the crash point after an event was handed to the broker. Nothing follows
// that could fail in its place: a confirm that is lost is the broker's to lose.
func sent(r row) { _ = point("relay.after_publish", r) }

// heard is the crash point after a confirm. Injected to fail, the confirm is as good
// as lost and the event is sent again.
func heard(f fate) error {
	if f.err != nil {
		return f.err
	}
	return point("relay.after_confirm", f.row)
}
