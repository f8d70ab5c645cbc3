package inbox

// point is where a test may stop this consumer, with the messages in hand.
func (r *Runner) point(step string, items []item) error {
	if r.cfg.Point == nil {
		return nil
	}
	about := make([]Message, len(items))
	for i, it := range items {
		about[i] = it.message
	}
	return r.cfg.Point(step, about)
}

// stop is point for a message that is applied by asking.
func (r *Runner) stop(step string, m Message) error {
	if r.cfg.Point == nil {
		return nil
	}
	return r.cfg.Point(step, []Message{m})
}

// acked is the last point of each delivery. Nothing follows that could
// fail: an error is noted, and a panic has nothing left to undo. Elsewhere what
// fails is tried again alone; here this is the only time, so each is asked alone.
func (r *Runner) acked(items []item) {
	if r.cfg.Point == nil {
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
