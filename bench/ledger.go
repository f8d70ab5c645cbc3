package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/program"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once/envelope"
)

// ledgerLine compares the worker's ledger with a bare consumer that writes the same rows.
func ledgerLine(h *house) line {
	l := &ledgers{house: h}
	return line{
		Name: "ledger", Title: "Ledger: message → inbox row and booking", Unit: "messages per second", Half: 2,
		Notes: []string{
			"The queue is full before the clock starts; it stops when every message is booked. Inbox rows, transactions, entries, their triggers and the quorum queue are the same for all.",
			"The bare consumers decode the event, know the accounts beforehand, and acknowledge after their commit. They look at no header, count no delivery, and know no poison, no retry and no dead letter.",
		},
		Contenders: []contender{
			{Name: "one-by-one", Title: "a bare consumer, a transaction for each message", Slice: l.bare(1)},
			{Name: "batches", Title: "a bare consumer, a transaction for a hundred", Slice: l.bare(bookedTogether)},
			{Name: "worker", Title: "cmd/worker, its ledger", Slice: l.worked},
		},
		Ratios: []ratio{{Of: "worker", To: "batches", Target: 0.8}, {Of: "worker", To: "one-by-one", Target: 4}},
		Open:   l.open,
	}
}

// bookedTogether is how many messages the worker takes into one transaction.
const bookedTogether = 100

// ledgers is what the line needs while it runs.
type ledgers struct {
	*house
	worker  *program.Program
	working []*program.Program // the workers that book
	conn    *amqp.Connection
	rate    map[int]float64 // to know how many messages fill a slice: by the size of batches, or minus the number of workers
}

func (l *ledgers) open(ctx context.Context) (end func() error, err error) {
	end = func() error {
		var problems []error
		if l.worker != nil {
			problems = append(problems, stop(l.worker))
		}
		if l.conn != nil {
			problems = append(problems, l.conn.Close())
		}
		return errors.Join(problems...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	l.rate = map[int]float64{}
	if l.worker, err = l.startWorker(ctx, "127.0.0.1:9"); err != nil {
		return end, err
	}
	l.working = []*program.Program{l.worker}
	l.conn, err = amqp.Dial(l.stack.AMQPURL("/"))
	return end, err
}

// worked measures the real program. It is stopped while the queue fills: started anew it
// would spend the slice on its start.
func (l *ledgers) worked(ctx context.Context, t *clock) error {
	if err := l.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	resume := func() error { return l.signal(syscall.SIGCONT) }
	merchant, n, err := l.fill(ctx, t, -len(l.working))
	if err != nil {
		return errors.Join(err, resume())
	}
	if err := t.startWithLog(ctx, l.db); err != nil {
		return errors.Join(err, resume())
	}
	if err := resume(); err != nil {
		return err
	}
	if err := l.booked(ctx, merchant, n); err != nil {
		return err
	}
	return l.finish(ctx, t, merchant, n, -len(l.working))
}

func (l *ledgers) signal(s os.Signal) error {
	var problems []error
	for _, p := range l.working {
		problems = append(problems, p.Signal(s))
	}
	return errors.Join(problems...)
}

// fill publishes as many captures as the contender books in a slice.
func (l *ledgers) fill(ctx context.Context, t *clock, contender int) (merchant uuid.UUID, n int, err error) {
	const firstGuess = 500
	merchant, n = uuid.New(), int(max(l.rate[contender], firstGuess)*t.length.Seconds())
	messages, err := captured(merchant, n)
	if err != nil {
		return merchant, n, err
	}
	// The trigger that looks whether a transaction balances keeps its plan, and one that was
	// made for an empty table walks over a full one.
	if _, err := l.db.ExecContext(ctx, `ANALYZE ledger_accounts, ledger_transactions, ledger_entries, consumer_inbox`); err != nil {
		return merchant, n, err
	}
	ch, err := l.conn.Channel()
	if err != nil {
		return merchant, n, err
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Confirm(false); err != nil {
		return merchant, n, err
	}
	return merchant, n, publish(ch, "", event.ConsumerLedger, messages)
}

// captured are the messages of as many captures.
func captured(merchant uuid.UUID, n int) ([]amqp.Publishing, error) {
	messages := make([]amqp.Publishing, n)
	for i := range messages {
		payment, order := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		payload, err := json.Marshal(event.PaymentCaptured{
			Schema: event.SchemaVersion, MerchantID: merchant, OrderID: order, PaymentID: payment, AttemptNo: 1,
			Amount: money.Of(amount(), item.Price.Currency), ProviderChargeID: "ch_" + payment.String(), Email: "bench@example.org",
			Lines: orderLines(), CapturedAt: time.Now().UTC(),
		})
		if err != nil {
			return nil, err
		}
		messages[i] = messageOf(envelope.Envelope{
			EventID: uuid.Must(uuid.NewV7()).String(), Type: event.TypePaymentCaptured, Source: "/payonce/shop", AggregateID: payment.String(), AggregateVersion: 1,
			Scope: merchant.String(), Correlation: payment.String(), Time: time.Now(), Attempt: 1, Payload: payload,
		})
	}
	return messages, nil
}

// booked waits until the queue is empty and then until the book is full: while there is
// a queue, only the broker is asked.
func (l *ledgers) booked(ctx context.Context, merchant uuid.UUID, n int) error {
	ch, err := l.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	err = until(ctx, time.Minute, func() (bool, error) {
		q, err := ch.QueueDeclarePassive(event.ConsumerLedger, true, false, false, false, nil)
		return q.Messages == 0, err
	})
	if err != nil {
		return fmt.Errorf("the queue does not become empty: %w", err)
	}
	return until(ctx, time.Minute, func() (bool, error) {
		var booked int
		err := l.db.QueryRowContext(ctx, `SELECT count(*) FROM ledger_entries WHERE merchant_id = $1`, merchant).Scan(&booked)
		return booked == 2*n, err
	})
}

// finish stops the clock, and counts what is there of each message.
func (l *ledgers) finish(ctx context.Context, t *clock, merchant uuid.UUID, n, contender int) error {
	if err := t.stopWithLog(ctx, l.db, n); err != nil {
		return err
	}
	l.rate[contender] = float64(n) / t.took.Seconds()
	var transactions, remembered int
	err := l.db.QueryRowContext(ctx, `
SELECT count(*), count(i.event_id) FROM ledger_transactions t LEFT JOIN consumer_inbox i ON i.consumer = 'ledger' AND i.event_id = t.event_id
 WHERE t.merchant_id = $1`, merchant).Scan(&transactions, &remembered)
	if err == nil && (transactions != n || remembered != n) {
		err = fmt.Errorf("%d messages, but %d transactions and %d inbox rows", n, transactions, remembered)
	}
	return err
}
