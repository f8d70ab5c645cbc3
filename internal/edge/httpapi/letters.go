package httpapi

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/patterns"
	"payonce/once/retry"
)

func whose(who caller.Caller) retry.Whose {
	return retry.Whose{Scope: patterns.Text(who.Merchant), All: who.Operator}
}

// ListDeadLetters is GET /v1/ops/dead-letters.
func (s *server) ListDeadLetters(ctx context.Context, r gen.ListDeadLettersRequestObject) (gen.ListDeadLettersResponseObject, error) {
	ctx = detach(ctx)
	mine := whose(caller.From(ctx))
	p, err := pageOf(wire.PrefixLetter, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	var state retry.State
	if r.Params.State != nil {
		state = retry.State(*r.Params.State)
	}
	before := ""
	if p.before.Valid {
		before = p.before.UUID.String()
	}
	letters, err := s.Letters.List(ctx, mine, state, before, p.limit+1)
	if err != nil {
		return nil, err
	}
	list := gen.ListDeadLetters200JSONResponse{}
	if list.ForeignOpen, err = s.Letters.ForeignOpen(ctx, mine); err != nil {
		return nil, err
	}
	letters, list.NextCursor = cut(p, letters, func(l retry.Letter) uuid.UUID { return patterns.ID(l.ID) })
	list.Data, err = s.letterViews(ctx, letters...)
	return list, err
}

// GetDeadLetter is GET /v1/ops/dead-letters/{letter_id}.
func (s *server) GetDeadLetter(ctx context.Context, r gen.GetDeadLetterRequestObject) (gen.GetDeadLetterResponseObject, error) {
	ctx = detach(ctx)
	id, ok := wire.PrefixLetter.Parse(r.LetterID)
	if !ok {
		return nil, errNotFound
	}
	l, err := s.Letters.Letter(ctx, whose(caller.From(ctx)), id.String())
	if err != nil {
		return nil, err
	}
	past, err := s.Letters.Decisions(ctx, id.String())
	if err != nil {
		return nil, err
	}
	views, err := s.letterViews(ctx, l)
	if err != nil {
		return nil, err
	}
	detail := gen.GetDeadLetter200JSONResponse{Letter: views[0], Headers: l.Headers(), Decisions: []wire.DeadLetterDecision{}}
	if text := string(l.Payload); utf8.ValidString(text) {
		detail.Payload = &text
	}
	for _, d := range past {
		detail.Decisions = append(detail.Decisions, wire.DeadLetterDecision{
			Action: wire.DeadLetterAction(d.Action), Who: d.Who, Reason: d.Why, ReplayNo: d.ReplayNo, At: wire.At(d.At),
		})
	}
	return detail, nil
}

// ReplayDeadLetter is POST /v1/ops/dead-letters/{letter_id}/replay.
func (s *server) ReplayDeadLetter(ctx context.Context, r gen.ReplayDeadLetterRequestObject) (gen.ReplayDeadLetterResponseObject, error) {
	v, err := s.decide(ctx, r.LetterID, retry.Replay, r.Body.Reason)
	return gen.ReplayDeadLetter202JSONResponse(v), err
}

// ApplyDeadLetter is POST /v1/ops/dead-letters/{letter_id}/apply.
func (s *server) ApplyDeadLetter(ctx context.Context, r gen.ApplyDeadLetterRequestObject) (gen.ApplyDeadLetterResponseObject, error) {
	v, err := s.decide(ctx, r.LetterID, retry.Apply, r.Body.Reason)
	return gen.ApplyDeadLetter202JSONResponse(v), err
}

// DiscardDeadLetter is POST /v1/ops/dead-letters/{letter_id}/discard.
func (s *server) DiscardDeadLetter(ctx context.Context, r gen.DiscardDeadLetterRequestObject) (gen.DiscardDeadLetterResponseObject, error) {
	v, err := s.decide(ctx, r.LetterID, retry.Discard, r.Body.Reason)
	return gen.DiscardDeadLetter202JSONResponse(v), err
}

// TakeBackDeadLetter is POST /v1/ops/dead-letters/{letter_id}/take-back.
func (s *server) TakeBackDeadLetter(ctx context.Context, r gen.TakeBackDeadLetterRequestObject) (gen.TakeBackDeadLetterResponseObject, error) {
	v, err := s.decide(ctx, r.LetterID, retry.TakeBack, r.Body.Reason)
	return gen.TakeBackDeadLetter202JSONResponse(v), err
}

// decide answers 202 behind the commit: the event is on its way, not applied.
func (s *server) decide(ctx context.Context, letter string, action retry.Action, reason string) (wire.DeadLetter, error) {
	ctx = detach(ctx)
	who := caller.From(ctx)
	id, ok := wire.PrefixLetter.Parse(letter)
	if !ok {
		return wire.DeadLetter{}, errNotFound
	}
	why := retry.Decision{Who: nameOf(who), Why: reason}
	var l retry.Letter
	var err error
	if action == retry.TakeBack {
		l, err = s.Letters.TakeBack(ctx, whose(who), id.String(), why)
	} else {
		l, err = s.Letters.Decide(ctx, whose(who), id.String(), action, why)
	}
	if err != nil {
		return wire.DeadLetter{}, err
	}
	s.Log.Info("a dead letter was decided about", "letter", letter, "action", action, "who", nameOf(who), "request_id", requestID(ctx))
	if action == retry.Replay || action == retry.Apply {
		s.Wake()
	}
	// Nothing is asked behind the commit: what was decided is answered.
	return s.letterView(l, l.State == retry.Replayed), nil
}

func (s *server) letterViews(ctx context.Context, letters ...retry.Letter) ([]wire.DeadLetter, error) {
	waits, err := s.Letters.Waits(ctx, letters...)
	views := make([]wire.DeadLetter, len(letters))
	for i, l := range letters {
		views[i] = s.letterView(l, waits[l.ID])
	}
	return views, err
}

func (s *server) letterView(l retry.Letter, waits bool) wire.DeadLetter {
	v := wire.DeadLetter{
		ID: wire.PrefixLetter.ID(patterns.ID(l.ID)), State: wire.DeadLetterState(l.State), Consumer: l.Consumer, EventID: eventName(l.EventID),
		Type: l.Type, Class: l.Class, Reason: l.Reason, Attempts: l.Attempts, ReplayNo: l.ReplayNo,
		FirstFailedAt: wire.At(l.FirstFailed), LastFailedAt: wire.At(l.LastFailed), Actions: []wire.DeadLetterAction{},
	}
	if payment := patterns.ID(l.Correlation()); payment != uuid.Nil {
		name := wire.PrefixPayment.ID(payment)
		v.PaymentID = &name
	}
	if at, ok := l.Born(); ok {
		v.EventAt = wire.AtOrNull(&at)
	}
	if l.ClosedAt.Valid {
		v.ClosedAt = wire.AtOrNull(&l.ClosedAt.Time)
	}
	for _, a := range s.Letters.Possible(l, waits) {
		v.Actions = append(v.Actions, wire.DeadLetterAction(a))
	}
	return v
}

// eventName writes an event's id as the contract does; a hash stays a hash.
func eventName(id string) string {
	if strings.HasPrefix(id, "sha256:") {
		return id
	}
	event, err := uuid.Parse(id)
	if err != nil {
		return id
	}
	return wire.PrefixEvent.ID(event)
}
