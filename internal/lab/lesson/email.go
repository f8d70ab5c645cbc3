package lesson

import (
	"context"
	"fmt"
	"net/http"
)

// mailTwice: the mailer dies when the mail server has the mail and the shop does
// not know it.
func mailTwice(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, c, "mailer.after_smtp_accept", "kill", 0); err != nil {
		return "", err
	}
	s.say(ctx, "The worker will be killed when the mail server has said 250 to the receipt of %s, before that is written down.", c.payment)
	got, _, err := s.insist(ctx, c, "lesson-"+c.payment, "tok_ok")
	if err != nil {
		return "", err
	}
	if got.Status != http.StatusOK {
		return "", unexpected(got)
	}
	if err := s.fired(ctx); err != nil {
		return "", err
	}
	_, deliveries, err := s.receipts(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "The worker is dead. The mailbox has counted %d, and the shop's row still says queued, under the dead mailer's lease.", deliveries)
	if err := s.calm(ctx); err != nil {
		return "", err
	}
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	messages, deliveries, err := s.receipts(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "The lease ended, and the mail was sent again under the same Message-ID. Delivered %s, shown %s.", times(deliveries), times(messages))
	s.check(ctx, question{
		id: "deliveries", statement: "The mail server took the receipt twice: sending cannot be undone.", expected: "2", query: s.world.curl(receiptPath(c)),
		ask: func(ctx context.Context) (string, error) {
			_, n, err := s.receipts(ctx, c)
			return fmt.Sprint(n), err
		},
	})
	s.checkOnce(ctx, c)
	s.counts(ctx, "queued", "The shop owed one mail and has one row for it, sent.", 1, mailSentSQL, s.merchant, c.id)
	switch {
	case messages > 1:
		return "two", nil
	case deliveries == 2:
		return "same", nil
	case messages == 0:
		return "none", nil
	}
	return "once", nil
}

const mailSentSQL = `SELECT count(*) FROM emails WHERE merchant_id = $1 AND payment_id = $2 AND template = 'receipt' AND status = 'sent'`
