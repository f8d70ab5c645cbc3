package outbox

// point is where a test may stop the relay, with the events in hand. An error that it
// injects is the failure of the step that follows.
func (e *engine) point(step string, rows ...row) error {
	if e.cfg.Point == nil {
		return nil
	}
	about := make([]Event, len(rows))
	for i, r := range rows {
		about[i] = r.event()
	}
	return e.cfg.Point(step, about)
}

// confirmed is the point after a confirm. Injected to fail, the confirm is as good
// as lost and the event is sent again.
func (e *engine) confirmed(f outcome) error {
	if f.err != nil {
		return f.err
	}
	return e.point("after_confirm", f.row)
}
