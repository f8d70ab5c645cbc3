package audit_test

import (
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/event"
)

// The states into which faults are planted.
const (
	captured = "A captured payment of 84.00 with two tickets"
	refunded = "The same after a refund of 20.00, and one of 64.00 that failed because a ticket was used"
	byHand   = "The same after a refund of 20.00 that was made at the provider"
)

// scenes makes a sale of each state, each of a merchant of its own, with all its
// effects.
func (h *house) scenes() map[string]scene {
	h.t.Helper()
	plain, partly, external := h.sell(h.newMerchant()), h.sell(h.newMerchant()), h.sell(h.newMerchant())
	h.giveBack(partly, 2000)
	h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, partly.payment)
	h.giveBack(partly, 6400)
	h.tell(h.byHand(external, 2000))
	all := map[string]scene{captured: h.scene(plain), refunded: h.scene(partly), byHand: h.scene(external)}
	a, b := all[refunded], all[byHand]
	a.back, a.stayed = h.refundName(partly, "status = 'succeeded'"), h.refundName(partly, "status = 'failed'")
	a.saga = h.name(`SELECT 'saga_' || replace(saga_id::text, '-', '') FROM refunds WHERE payment_id = $1 AND status = 'succeeded'`, partly)
	b.external = h.refundName(external, "provider_refund_id IS NOT NULL")
	all[refunded], all[byHand] = a, b
	return all
}

func (h *house) scene(s sale) scene {
	h.t.Helper()
	a := scene{sale: s, events: map[string]string{}}
	a.charge = h.name(`SELECT provider_charge_id FROM payments WHERE id = $1`, s)
	const unpaid = ` FROM payments WHERE status = 'requires_capture' AND merchant_id = (SELECT merchant_id FROM payments WHERE id = $1)`
	a.unpaid = h.name(`SELECT 'pay_' || replace(id::text, '-', '')`+unpaid, s)
	a.untold = h.name(`SELECT 'ord_' || replace(order_id::text, '-', '')`+unpaid, s)
	var events []struct {
		Type string    `db:"type"`
		ID   uuid.UUID `db:"event_id"`
	}
	require.NoError(h.t, h.db.Select(h.t.Context(), &events, `SELECT type, event_id FROM outbox_events WHERE correlation_id = $1`, s.payment))
	for _, e := range events {
		a.events[e.Type] = "evt_" + hex.EncodeToString(e.ID[:])
	}
	return a
}

func (h *house) name(query string, s sale) (name string) {
	h.t.Helper()
	require.NoError(h.t, h.db.Get(h.t.Context(), &name, query, s.payment))
	return name
}

func (h *house) refundName(s sale, which string) string {
	h.t.Helper()
	var id uuid.UUID
	require.NoError(h.t, h.db.Get(h.t.Context(), &id, strings.Join([]string{`SELECT id FROM refunds WHERE payment_id = $1`, which}, " AND "), s.payment))
	return event.RefundName(id)
}

func receipt(s sale) string     { return "<receipt." + s.name() + "@payonce>" }
func refundMail(a scene) string { return "<refunded." + a.back + "@payonce>" }
