package retry

import (
	"context"
	"fmt"

	"payonce/once"
)

const reopenLetter = `
UPDATE {dead_letters} SET state = 'open', closed_at = NULL
WHERE id = @letter AND state = 'replayed'
RETURNING ` + letterColumns

// TakeBack takes a replay back that has not left yet: the event is not sent, and the
// letter is open again with its alert, all in one transaction with the decision. A
// replay that has left is [ErrSent].
func (d DeadLetters) TakeBack(ctx context.Context, w Whose, id string, why Decision) (Letter, error) {
	var open Letter
	err := d.DB.InTx(ctx, func(tx once.Tx) error {
		l, err := d.lock(ctx, tx, w, id)
		if err != nil {
			return err
		}
		if l.State != Replayed {
			return fmt.Errorf("%w: the letter is %s", ErrSent, l.State)
		}
		r, err := l.resend()
		if err != nil {
			return err
		}
		r.ReplayNo = l.ReplayNo // the one that was sent, not the next
		if waited, err := d.Withdraw(ctx, tx, r); err != nil || !waited {
			return orSent(err)
		}
		if open, err = one(letters(d.Format)(d.Table.in(reopenLetter).Query(ctx, tx, once.Args{"letter": id}))); err != nil {
			return err
		}
		if err := d.note(ctx, tx, open, TakeBack, why); err != nil {
			return err
		}
		return raiseDead(ctx, tx, d.troubles(), l)
	})
	return open, err
}

// Waits says of some letters, by their ids, whose replay has not left yet: that one
// can be taken back.
func (d DeadLetters) Waits(ctx context.Context, letters ...Letter) (map[string]bool, error) {
	type replay struct {
		event, consumer string
		number          int
	}
	sent, waits := map[replay]string{}, map[string]bool{}
	var asked []Resend
	for _, l := range letters {
		r, err := l.resend()
		if l.State != Replayed || err != nil {
			continue
		}
		r.ReplayNo = l.ReplayNo // the one that was sent, not the next
		sent[replay{r.EventID, r.Consumer, r.ReplayNo}] = l.ID
		asked = append(asked, r)
	}
	if len(asked) == 0 || d.Waiting == nil {
		return waits, nil
	}
	waiting, err := d.Waiting(ctx, d.DB, asked)
	for _, r := range waiting {
		if letter, ok := sent[replay{r.EventID, r.Consumer, r.ReplayNo}]; ok {
			waits[letter] = true
		}
	}
	return waits, err
}

func orSent(err error) error {
	if err != nil {
		return err
	}
	return ErrSent
}
