package inbox

import (
	"github.com/google/uuid"

	"payonce/internal/platform/fault"
)

// point is a crash point of this consumer, about the messages in hand: its name
// is the consumer's and the step's, as in "bank.after_commit".
func (r *Runner) point(step string, items []item) error {
	if !fault.Enabled {
		return nil
	}
	ids := make([]uuid.UUID, 0, 2*len(items))
	for _, it := range items {
		ids = append(ids, it.message.Scope, it.message.Correlation)
	}
	return fault.Point(r.cfg.Consumer+"."+step, ids...)
}

// acked is the last crash point of each delivery. Nothing follows that could
// fail: an error is noted, and a panic has nothing left to undo. Elsewhere what
// fails is tried again alone; here this is the only time, so each is asked alone.
func (r *Runner) acked(items []item) {
	if !fault.Enabled {
		return
	}
	for i := range items {
		r.ackedOne(items[i : i+1])
	}
}

func (r *Runner) ackedOne(one []item) {
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("a panic after the ack", "consumer", r.cfg.Consumer, "panic", p)
		}
	}()
	if err := r.point("after_ack", one); err != nil {
		r.cfg.Log.Info("a failure after the ack", "consumer", r.cfg.Consumer, "error", err)
	}
}
