package inbox

import (
	"context"
	"errors"

	"payonce/once"
	"payonce/once/retry"
)

// Around applies messages whose effect is outside the database, where no
// transaction reaches: it asks, then records.
//
//	tx1   Intend: the intent is durable; no inbox row         commit
//	      the call, under a key made of the intent            no transaction is open
//	tx2   inbox row + what Record writes                      commit, then ack
//
// A crash, a redelivery or a rival between tx1 and tx2 repeats the call with the
// same key, so the other side must dedupe by it. What must not be repeated
// under the same key does not belong here. Such messages share no transaction;
// [Config.Calls] of them are under way together, because each is a round trip.
type Around struct {
	// Types are the events that are applied this way; those of the consumer's
	// other types go to its Handler.
	Types []string
	// Intend writes down what is about to be asked. It may run any number of
	// times for one message and its writes must be the same each time. It returns
	// the call that the intent stands for.
	Intend func(ctx context.Context, tx once.Tx, m Message) (Call, error)
}

// Call asks the outside world, outside of every transaction. It may be made any
// number of times. An error leaves the message for the retry schedule: nothing
// was recorded, and "it is unknown" is such an error too.
type Call func(ctx context.Context) (Record, error)

// Record writes what the call learnt, in the transaction of the inbox row: once
// per event, whatever is delivered how often.
type Record func(ctx context.Context, tx once.Tx) error

// errProbe ends the look at the inbox without leaving a trace.
var errProbe = errors.New("the inbox was only looked at")

// around applies one message whose effect is outside. fresh is empty when the
// event was applied before.
func (r *Runner) around(ctx context.Context, m Message) (fresh []string, err error) {
	// Before anything is asked: an event that the inbox knows, or that is outside
	// of its window, must not reach the outside world again.
	probe, err := r.probe(ctx, m)
	if err != nil || len(probe) == 0 {
		return nil, err
	}
	var call Call
	if err := r.cfg.DB.InTx(ctx, func(tx once.Tx) error { // tx1
		var err error
		call, err = r.cfg.Around.Intend(ctx, tx, m)
		return err
	}); err != nil {
		return nil, err
	}
	if err := r.stop("after_intent", m); err != nil {
		return nil, err
	}
	record, err := call(ctx)
	if err != nil {
		return nil, notOurs(retry.Refused(r.cfg.DB, err))
	}
	if err := r.stop("after_call", m); err != nil {
		return nil, err
	}
	err = r.cfg.DB.InTx(ctx, func(tx once.Tx) error { // tx2
		begun(ctx)
		var err error
		if fresh, err = r.cfg.Table.Admit(ctx, tx, r.cfg.Consumer, []string{m.EventID}); err != nil || len(fresh) == 0 {
			return err
		}
		return record(ctx, tx)
	})
	return fresh, err
}

// ask applies messages by asking and does not wait for the answers: who is slow
// out there must not keep those waiting who ask for nothing. It waits only while
// all places are taken.
func (r *Runner) ask(ctx context.Context, items []item) {
	for _, it := range items {
		r.places <- struct{}{}
		r.asking.Go(func() {
			defer func() { <-r.places }()
			r.process(ctx, []item{it})
		})
	}
}

// probe admits the event and takes that back: what it returns, or fails with, is
// what tx2 would meet.
func (r *Runner) probe(ctx context.Context, m Message) (fresh []string, err error) {
	err = r.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		var err error
		if fresh, err = r.cfg.Table.Admit(ctx, tx, r.cfg.Consumer, []string{m.EventID}); err != nil {
			return err
		}
		return errProbe
	})
	if errors.Is(err, errProbe) {
		err = nil
	}
	return fresh, err
}

// notOurs keeps a call's error from being taken for one of our database: a broken
// connection out there is no reason to wait here with the message in hand.
func notOurs(err error) error {
	text := errors.New(err.Error())
	switch retry.ClassOf(err) {
	case retry.ClassDone:
		return retry.Done(text)
	case retry.ClassPermanent:
		return retry.Permanent(text)
	case retry.ClassPoison:
		return retry.Poison(text)
	case retry.ClassAmbiguous:
		return retry.Ambiguous(text)
	case retry.ClassTransient:
	}
	return retry.Transient(text)
}

// outside says whether a message is applied by asking.
func (r *Runner) outside(it item) bool { return r.asks[it.message.Type] }
