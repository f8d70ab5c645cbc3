package httpapi

import (
	"context"
	"time"

	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// askOutside is how long the outside world may take to count. What it cannot
// say in time is null, never zero.
const askOutside = 1500 * time.Millisecond

// GetProof is GET /v1/payments/{id}/proof.
func (s *server) GetProof(ctx context.Context, r gen.GetProofRequestObject) (gen.GetProofResponseObject, error) {
	ctx = detach(ctx)
	p, err := s.payment(ctx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	s.settle(ctx)
	v, err := s.proofOf(ctx, p)
	if err != nil {
		return nil, err
	}
	return gen.GetProof200JSONResponse(v), nil
}

func (s *server) proofOf(ctx context.Context, p checkout.Payment) (wire.Proof, error) {
	v := wire.Proof{PaymentID: wire.PrefixPayment.ID(p.ID), Attempts: map[string]int64{}}
	if err := s.countAttempts(ctx, p, &v); err != nil {
		return v, err
	}
	if err := s.countInside(ctx, p, &v); err != nil {
		return v, err
	}
	s.countOutside(ctx, p, &v)
	v.Complete = s.Journal.Dropped() == 0 && v.BrokerDeliveries != nil && v.Effects.Charges != nil && v.Effects.Mails != nil
	return v, nil
}

const fatesSQL = `SELECT fate, count(*) AS n FROM (` + capturesSQL + `) a GROUP BY fate`

// countAttempts tells where each twin was absorbed: at its own key (the stored
// answer, or the wait for it), or at the payment beneath another key.
func (s *server) countAttempts(ctx context.Context, p checkout.Payment, v *wire.Proof) error {
	var rows []struct {
		Fate string `db:"fate"`
		N    int64  `db:"n"`
	}
	if err := s.DB.Select(ctx, &rows, fatesSQL, p.ID, p.MerchantID); err != nil {
		return err
	}
	for _, r := range rows {
		v.Attempts[r.Fate] = r.N
	}
	v.Absorbed.Key = v.Attempts[string(checkout.Replayed)] + v.Attempts[string(checkout.Waited)]
	v.Absorbed.BusinessKey = v.Attempts[string(checkout.Matched)]
	return nil
}

// What the shop's own tables say. The journal is bounded: as long as it still
// holds the first line of this payment's story, its counts are of all of it. An
// inbox row is a delivery that certainly happened, whatever the journal heard.
const insideSQL = `
WITH story AS (
  SELECT kind, facts FROM activity
   WHERE payment_id = $1 AND merchant_id = $2 AND id >= uuid_v7_floor($4::timestamptz - interval '1 minute')
), applied AS (
  SELECT count(*) AS n
    FROM outbox_events o JOIN consumer_inbox i ON i.event_id = o.event_id
   WHERE o.aggregate_id IN ($1, $3) AND o.correlation_id = $1
)
SELECT (SELECT count(*) FROM tickets WHERE payment_id = $1) AS tickets,
       (SELECT count(*) FROM ledger_transactions WHERE payment_id = $1 AND kind = 'capture') AS ledger,
       (SELECT coalesce(sum((line->>'quantity')::bigint), 0) FROM orders o, jsonb_array_elements(o.items) AS line WHERE o.id = $3) AS seats,
       EXISTS (SELECT 1 FROM story WHERE kind = 'committed' AND facts->>'operation' = 'order') AS whole,
       greatest((SELECT count(*) FROM story WHERE kind = 'delivered'), (SELECT n FROM applied)) AS deliveries,
       (SELECT count(*) FROM story WHERE kind = 'absorbed') AS absorbed,
       (SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM story WHERE kind = 'charge.sent' AND facts->>'detail' IS DISTINCT FROM 'recovery' GROUP BY facts->>'attempt') sent) AS repeated`

func (s *server) countInside(ctx context.Context, p checkout.Payment, v *wire.Proof) error {
	var row struct {
		Tickets    int64 `db:"tickets"`
		Ledger     int64 `db:"ledger"`
		Seats      int64 `db:"seats"`
		Whole      bool  `db:"whole"`
		Deliveries int64 `db:"deliveries"`
		Absorbed   int64 `db:"absorbed"`
		Repeated   int64 `db:"repeated"`
	}
	if err := s.DB.Get(ctx, &row, insideSQL, p.ID, p.MerchantID, p.OrderID, p.CreatedAt); err != nil {
		return err
	}
	v.Effects.Tickets, v.Effects.LedgerTransactions = &row.Tickets, &row.Ledger
	if row.Whole {
		v.BrokerDeliveries, v.Absorbed.Inbox, v.Absorbed.Provider = &row.Deliveries, &row.Absorbed, &row.Repeated
	}
	one, none := int64(1), int64(0)
	v.Expected = wire.Effects{Charges: &none, Mails: &none, Tickets: &none, LedgerTransactions: &none}
	if p.CapturedAt.Valid {
		v.Expected = wire.Effects{Charges: &one, Mails: &one, Tickets: &row.Seats, LedgerTransactions: &one}
	}
	return nil
}

// countOutside asks those who know: the provider for live charges, the mailbox
// for receipts. Our own tables would only say what we believe.
func (s *server) countOutside(ctx context.Context, p checkout.Payment, v *wire.Proof) {
	ctx, cancel := context.WithTimeout(ctx, askOutside)
	defer cancel()
	name := event.PaymentName(p.ID)
	if s.Books != nil {
		if charges, err := s.Books.ChargesByReference(ctx, name); err == nil {
			if live, err := s.countCharges(ctx, p, charges); err == nil {
				by := "provider"
				v.Effects.Charges, v.CountedBy.Charges = &live, &by
			}
		}
	}
	if s.Mailbox != nil {
		if mails, err := s.Mailbox.MailsByMessageID(ctx, "<"+email.Receipt+"."+name+"@payonce>"); err == nil {
			n, by := int64(len(mails)), "mailbox"
			v.Effects.Mails, v.CountedBy.Mails = &n, &by
		}
	}
}

// countCharges counts the payment's own charge, also after its money went back, and
// any other of which the provider still holds something.
func (s *server) countCharges(ctx context.Context, p checkout.Payment, charges []provider.Charge) (live int64, err error) {
	for _, c := range charges {
		if c.Status != provider.Succeeded {
			continue
		}
		if c.ID != p.ProviderChargeID.String {
			refunds, err := s.Books.RefundsOfCharge(ctx, c.ID)
			if err != nil {
				return 0, err
			}
			if !provider.Hold(c, refunds).Alive() {
				continue
			}
		}
		live++
	}
	return live, nil
}
