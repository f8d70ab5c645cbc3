package lesson

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"payonce/internal/lab/client"
)

// letter is a message that nobody could apply, as the operations page shows it.
type letter struct {
	ID        string  `json:"id"`
	Consumer  string  `json:"consumer"`
	Class     string  `json:"class"`
	Reason    string  `json:"reason"`
	Attempts  int     `json:"attempts"`
	PaymentID *string `json:"payment_id"`
}

// open waits until a payment has an open dead letter at a consumer.
func (s *Scene) open(ctx context.Context, c checkout, consumer string) (found letter, err error) {
	return found, s.await(ctx, "the dead letter", func(ctx context.Context) (bool, error) {
		var list struct {
			Data []letter `json:"data"`
		}
		err := s.shop.get(ctx, "/v1/ops/dead-letters?state=open", &list)
		for _, l := range list.Data {
			if l.PaymentID != nil && *l.PaymentID == c.payment && l.Consumer == consumer {
				found = l
				return true, nil
			}
		}
		return false, err
	})
}

func (s *Scene) deciding(l letter, action, why string) client.Request {
	return client.Request{Method: http.MethodPost, Path: "/v1/ops/dead-letters/" + l.ID + "/" + action, Body: map[string]any{"reason": why}}
}

// failures is more than a schedule's tries, each of which may meet the bug twice:
// in its batch and alone.
const failures = 24

// poison: a consumer has a bug that one message meets at every try.
func poison(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	for range failures {
		if err := s.arm(ctx, c, "ledger.before_effect", "error", 0); err != nil {
			return "", err
		}
	}
	s.say(ctx, "A release went out with a bug: the ledger fails at every message about %s.", c.payment)
	got, _, err := s.insist(ctx, c, "lesson-"+c.payment, "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "The click was answered %s. The buyer has nothing to do with the ledger's bug.", got)
	began := time.Now()
	other, err := s.buy(ctx, "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "Another payment, %s, was booked %.1f s later: the message that fails waits in a queue of its own.", other.payment, time.Since(began).Seconds())
	if err := s.calm(ctx); err != nil { // what follows is waiting
		return "", err
	}
	l, err := s.open(ctx, c, "ledger")
	if err != nil {
		return "", err
	}
	s.say(ctx, "After %d tries it is with a person: %s, %q.", l.Attempts, l.Class, l.Reason)
	var before int
	if err := s.db.Get(ctx, &before, ledgerSQL, s.merchant, c.id); err != nil {
		return "", err
	}
	s.disarm(ctx)
	s.say(ctx, "The bug is fixed. Now the letter is replayed.")
	if err := s.must(ctx, http.StatusAccepted, s.deciding(l, "replay", "The bug is fixed."), nil); err != nil {
		return "", err
	}
	again, err := s.shop.send(ctx, s.deciding(l, "replay", "The same button, clicked twice."))
	if err != nil {
		return "", err
	}
	s.say(ctx, "The button was clicked twice: the second replay was answered %s.", again)
	if err := s.await(ctx, "the booking", func(ctx context.Context) (bool, error) {
		var n int
		err := s.db.Get(ctx, &n, ledgerSQL, s.merchant, c.id)
		return n > 0, err
	}); err != nil {
		return "", err
	}
	return s.judgePoison(ctx, c, other, l, before, again)
}

func (s *Scene) judgePoison(ctx context.Context, c, other checkout, l letter, before int, again answer) (string, error) {
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.saw(ctx, "open", "When the letter was open the ledger had booked nothing of it.", "0", fmt.Sprint(before), filledIn(ledgerSQL, []any{s.merchant, c.id}))
	s.saw(ctx, "twice", "A second click on replay is refused: the letter is closed.", "409 dead-letter-closed", again.String(), s.shop.curlOf(s.deciding(l, "replay", "again")))
	s.counts(ctx, "replayed", "The letter is closed, replayed by a person, once.", 1, replayedSQL, s.merchant, c.id.String())
	s.counts(ctx, "others", "The other payment was booked meanwhile.", 1, ledgerSQL, s.merchant, other.id)
	s.checkOnce(ctx, c)
	var booked int
	if err := s.db.Get(ctx, &booked, ledgerSQL, s.merchant, c.id); err != nil {
		return "", err
	}
	switch {
	case booked == 1 && before == 0:
		return "letter", nil
	case booked == 0:
		return "dropped", nil
	}
	return "blocked", nil
}

const replayedSQL = `
SELECT count(*) FROM dead_letters d JOIN outbox_events o ON o.event_id::text = d.event_id AND o.destination IS NULL
 WHERE d.merchant_id = $1 AND o.aggregate_id = $2::uuid AND d.consumer = 'ledger' AND d.state IN ('replayed', 'applied') AND d.replay_no = 1`
