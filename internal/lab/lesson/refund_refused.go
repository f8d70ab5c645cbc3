package lesson

import "context"

const (
	undoneSQL = `
SELECT coalesce(string_agg(type, ', ' ORDER BY seq), 'none') FROM outbox_events
 WHERE merchant_id = $1 AND correlation_id = $2 AND destination IS NULL AND type IN ('tickets.reinstate', 'ledger.release_refund')`
	reservedSQL = `SELECT refund_reserved_minor::text FROM payments WHERE merchant_id = $1 AND id = $2`
)

// refundRefused: the provider says no when two steps are done.
func refundRefused(ctx context.Context, s *Scene) (string, error) {
	c, err := s.buy(ctx, "tok_refund_declined")
	if err != nil {
		return "", err
	}
	s.say(ctx, "%s is paid, with a card whose refunds the bank refuses.", c.payment)
	_, state, err := s.refund(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "The refund's story ended as %s.", state)
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	order := s.reads(ctx, "undone", "What was done was undone, the last step first.", "tickets.reinstate, ledger.release_refund", undoneSQL, s.merchant, c.id)
	s.saw(ctx, "state", "The saga is compensated.", "compensated", state, s.shop.curl("/v1/payments/"+c.payment))
	s.counts(ctx, "tickets", "Both tickets are good again.", 2, ticketsSQL, s.merchant, c.id)
	s.reads(ctx, "reserved", "Nothing is reserved for a refund any more, so the buyer may ask again.", "0", reservedSQL, s.merchant, c.id)
	s.checkCharges(ctx, c, 1)
	switch {
	case state == "completed":
		return "paid", nil
	case order == "tickets.reinstate, ledger.release_refund":
		return "backwards", nil
	}
	return "stuck", nil
}
