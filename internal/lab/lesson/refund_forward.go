package lesson

import (
	"context"
	"fmt"
)

const (
	undosSQL = `
SELECT count(*) FROM saga_steps t JOIN sagas s ON s.id = t.saga_id
 WHERE s.merchant_id = $1 AND s.correlation_id = $2 AND t.direction = 'undo'`
	refundedSQL = `SELECT refunded_minor::text FROM payments WHERE merchant_id = $1 AND id = $2`
	voidSQL     = `SELECT count(*) FROM tickets WHERE merchant_id = $1 AND payment_id = $2 AND status = 'void'`
)

// refundForward: the pivot is passed, its answer is lost and the worker dies.
func refundForward(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.buy(ctx, "tok_refund_timeout_after")
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, c, "saga.after_pivot", "kill", 0); err != nil {
		return "", err
	}
	s.say(ctx, "%s is paid. When its refund has asked the provider, the worker will be killed; and the provider will give the money back and lose its answer.", c.payment)
	name, state, err := s.refund(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "The worker died at the pivot and came back, and the provider was asked until it answered. The story ended as %s.", state)
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	undos := s.counts(ctx, "undos", "Nothing was undone: after the pivot there is only forward.", 0, undosSQL, s.merchant, c.id)
	s.saw(ctx, "state", "The saga is completed.", "completed", state, s.shop.curl("/v1/refunds/"+name+"/saga"))
	path := "/v1/refunds?reference=" + name
	s.check(ctx, question{
		id: "refunds", statement: "The provider's own books hold one refund.", expected: "1", query: s.world.curl(path),
		ask: func(ctx context.Context) (string, error) {
			var list struct {
				Data []struct {
					Status string `json:"status"`
				} `json:"data"`
			}
			err := s.world.get(ctx, path, &list)
			return fmt.Sprint(len(list.Data)), err
		},
	})
	s.reads(ctx, "refunded", "The payment says that everything went back.", fmt.Sprint(c.amount), refundedSQL, s.merchant, c.id)
	s.counts(ctx, "void", "Both tickets are void.", 2, voidSQL, s.merchant, c.id)
	switch {
	case undos > 0 || state == "compensated":
		return "undone", nil
	case state == "completed":
		return "forward", nil
	}
	return "stuck", nil
}
