package lesson

import (
	"context"
	"net/http"

	"payonce/internal/lab/client"
)

// refund asks for everything back and waits until its story has ended.
func (s *Scene) refund(ctx context.Context, c checkout) (name, state string, err error) {
	var asked struct {
		ID string `json:"id"`
	}
	body := map[string]any{"payment_id": c.payment, "reason": "requested_by_customer"}
	if err := s.must(ctx, http.StatusAccepted, client.Request{Method: http.MethodPost, Path: "/v1/refunds", Key: "refund-" + c.payment, Body: body}, &asked); err != nil {
		return "", "", err
	}
	s.say(ctx, "The refund %s was accepted: 202. Nothing has gone back yet.", asked.ID)
	err = s.await(ctx, "the end of the refund", func(ctx context.Context) (bool, error) {
		var saga struct {
			State string `json:"state"`
		}
		err := s.shop.get(ctx, "/v1/refunds/"+asked.ID+"/saga", &saga)
		state = saga.State
		return state == "completed" || state == "compensated", err
	})
	return asked.ID, state, err
}

// reads checks one text that a query gives.
func (s *Scene) reads(ctx context.Context, id, statement, expected, query string, args ...any) (seen string) {
	s.check(ctx, question{
		id: id, statement: statement, expected: expected, query: filledIn(query, args),
		ask: func(ctx context.Context) (string, error) {
			err := s.db.Get(ctx, &seen, query, args...)
			return seen, err
		},
	})
	return seen
}
