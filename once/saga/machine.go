package saga

// input is what can happen to a saga.
type input struct {
	kind      kind
	step      string
	direction Direction
	ok        bool
	reason    string
	ready     Ready
	decision  Decision // of a person
}

type kind int

const (
	begun     kind = iota // its start event came
	replied               // a participant answered
	expired               // a deadline passed
	again                 // a person asks to try once more
	signalled             // what a condition reads may have changed
	judged                // the condition of the step in hand was asked
	decided               // a person's decision counts: the outside does not contradict it
)

// move is what follows from an input, beside the changed saga: at most one
// command, and whether a person must or need no longer look.
type move struct {
	ask   *Track // the step whose condition is to be asked; the answer is the next input
	wait  *Track // the step whose condition is not decided: it is asked again
	send  *Track // the step whose command leaves
	again bool   // the participant may think about an earlier refusal anew
	ended bool
	alert string // why a person must look; "" for no reason
	eased bool   // the reason is gone
}

// Decided is the reason of a participant that acts no more because a person
// decided about its step. It says nothing about the step, and no participant may
// refuse with it.
const Decided = "decided"

// NoAnswer is why a saga turned round that no participant refused.
const NoAnswer = "no_answer"

// next is the whole protocol, without a database: it changes s by what happened
// and says what to send. Run twice with the same input it does not send twice,
// because the second finds another state.
//
//  1. A saga that has ended changes no more; what comes is late.
//  2. A reply that is not about the step in hand is late, and so is one that only
//     says that a person decided.
//  3. A deadline before the pivot asks again, then turns round; at the pivot, after
//     it and on the way back it asks again, without end, and says so to a person.
//  4. A refusal before the pivot, or of the pivot itself, turns round; after it
//     and on the way back an alert is raised.
//  5. A step with a condition is sent, skipped or held as its condition says. Waiting,
//     it is asked about again after a signal, and after each deadline, without end:
//     nothing of it was sent, so there is nothing to lose patience with.
//  6. While a person's decision is pending nothing but the decision moves the saga:
//     replies are late, deadlines pass. Once it counts the step in hand is over and
//     the saga goes on from there, by its ordinary steps. An undo that was not
//     answered is such a step: what a person says takes nothing back.
func (d Definition) next(s *Saga, in input) move {
	if s.State.Final() { // 1
		s.late(d, in)
		return move{}
	}
	if s.Decision.Pending() && in.kind != decided { // 6
		s.late(d, in)
		return move{}
	}
	switch in.kind {
	case begun:
		if s.Position >= 0 {
			return move{}
		}
		return d.forward(s)
	case replied:
		return d.reply(s, in)
	case expired:
		return d.expire(s)
	case again:
		return d.retry(s)
	case signalled: // 5
		if s.State == Waiting {
			return move{ask: s.track(s.Position, Do)}
		}
	case judged:
		return d.judge(s, in.ready)
	case decided:
		return d.decide(s, in.decision)
	}
	return move{}
}

// judge does what the condition of the step in hand says.
func (d Definition) judge(s *Saga, ready Ready) move { // 5
	t := s.track(s.Position, Do)
	switch ready {
	case Skip:
		t.Status, t.changed = Skipped, true
		return d.forward(s)
	case Wait:
		s.State = Waiting
		t.Status, t.changed = Awaiting, true
		return move{wait: t}
	case Go:
	}
	s.State = Running
	return s.send(t)
}

func (d Definition) reply(s *Saga, in input) move {
	t := s.track(s.Position, s.Direction)
	if s.Position < 0 || t == nil || t.Step != in.step || s.Direction != in.direction || t.Status != Started || !in.ok && in.reason == Decided { // 2
		s.late(d, in)
		return move{}
	}
	t.changed = true
	if in.ok {
		t.Status, t.Error = Done, nil
		m := d.onward(s)
		m.eased = s.Alerted
		return m
	}
	t.Status, t.Error = Failed, &in.reason
	if in.direction == Do && s.Position <= d.pivot() { // 4
		m := d.turn(s, in.reason)
		m.eased = s.Alerted
		return m
	}
	s.State = Stuck
	return move{alert: "refused: " + in.reason}
}

// late counts a reply that changes nothing.
func (s *Saga) late(d Definition, in input) {
	if in.kind != replied {
		return
	}
	if t := s.track(d.position(in.step), in.direction); t != nil {
		t.Late++
		t.changed = true
	}
}

func (d Definition) expire(s *Saga) move {
	if s.Position < 0 {
		return d.forward(s)
	}
	t := s.track(s.Position, s.Direction)
	if s.State == Waiting { // 5
		return move{ask: t}
	}
	if t == nil || t.Status != Started {
		return move{} // Refused: only a person moves it.
	}
	patient := t.Attempts < d.Steps[s.Position].tries()
	if s.Direction == Do && s.Position < d.pivot() && !patient { // 3
		return d.turn(s, NoAnswer)
	}
	m := s.send(t)
	switch {
	case s.Direction == Do && s.Position < d.pivot():
	case !patient:
		s.State = Stuck
		m.alert = "no answer to " + t.Step
	case s.Direction == Do && s.Position == d.pivot():
		m.alert = "no answer to " + t.Step + ", which may have happened"
	}
	return m
}

func (d Definition) retry(s *Saga) move {
	t := s.track(s.Position, s.Direction)
	if s.State != Stuck || t == nil {
		return move{}
	}
	s.State = Running
	if s.Direction == Undo {
		s.State = Compensating
	}
	m := s.send(t)
	m.again, m.eased = true, s.Alerted
	return m
}

// decide ends the step in hand as a person says and goes on from there.
func (d Definition) decide(s *Saga, w Decision) (m move) {
	t := s.track(s.Position, s.Direction)
	if s.State != Stuck || t == nil {
		return move{}
	}
	eased := s.Alerted
	s.Decision, s.ResolvedBy, s.ResolvedWhy = w, &w.By, &w.Why
	t.changed = true
	switch {
	case s.Direction == Undo && t.Status == Started:
		s.State = Compensating
		m = s.send(t)
	case s.Direction == Do && w.Outcome == Compensated:
		why := Decided
		t.Status, t.Error = Failed, &why
		m = d.turn(s, w.Why)
	default:
		t.Status, t.Error = Done, nil
		m = d.onward(s)
	}
	m.eased = eased
	return m
}

// onward goes on the way the saga is going.
func (d Definition) onward(s *Saga) move {
	if s.Direction == Undo {
		return d.backward(s, s.Position-1)
	}
	return d.forward(s)
}

// forward comes to the next step that is not skipped, or ends.
func (d Definition) forward(s *Saga) move {
	s.State = Running
	for i := s.Position + 1; i < len(d.Steps); i++ {
		if t := s.track(i, Do); t != nil && t.Status == Pending {
			s.Position = i
			if d.Steps[i].Condition != nil {
				return move{ask: t}
			}
			return s.send(t)
		}
	}
	s.Position = len(d.Steps)
	s.State = Completed
	return move{ended: true}
}

// turn goes back from the step in hand, which is undone too unless its
// participant refused: it is unknown what became of its command.
func (d Definition) turn(s *Saga, why string) move {
	s.Failure = &why
	s.Direction = Undo
	return d.backward(s, s.Position)
}

// backward sends the undo of the last step that may have happened, or ends.
func (d Definition) backward(s *Saga, from int) move {
	s.State = Compensating
	for i := from; i >= 0; i-- {
		t := s.track(i, Do)
		if t == nil || d.Steps[i].Undo == "" || t.Status != Started && t.Status != Done {
			continue
		}
		s.Position = i
		s.Tracks = append(s.Tracks, Track{Step: t.Step, Direction: Undo, Position: i, Status: Pending})
		return s.send(&s.Tracks[len(s.Tracks)-1])
	}
	s.Position = -1
	s.State = Compensated
	return move{ended: true}
}

func (s *Saga) send(t *Track) move {
	t.Status, t.Error, t.changed = Started, nil, true
	t.Attempts++
	return move{send: t}
}
