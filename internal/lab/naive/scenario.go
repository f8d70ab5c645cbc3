package naive

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// scenarios are one for each guard: what must go wrong for just this guard to
// matter.
var scenarios = map[Guard]func(ctx context.Context, t *trial) error{
	Key: keyScenario, RequestHash: requestHashScenario, BusinessKey: businessKeyScenario, ProviderKey: providerKeyScenario,
	Outbox: outboxScenario, Confirms: confirmsScenario, Inbox: inboxScenario, UndoBeforeDo: undoScenario,
}

func newKey() string { return "trial-" + uuid.NewString() }

// payOnce is a scenario in which one buyer pays, and whatever happens happens on
// the way.
func payOnce(ctx context.Context, t *trial, before string, trouble Trouble) error {
	t.tell("%s", before)
	if err := t.place(ctx, trouble); err != nil {
		return err
	}
	got, clicks, err := t.pay(ctx, newKey(), "tok_ok")
	if err == nil {
		t.tell("The buyer got %q, at click %d.", statusOf(got), clicks)
	}
	return err
}

func keyScenario(ctx context.Context, t *trial) error {
	t.tell("A buyer clicks once. The bank declines the card, and the answer is lost on its way to the browser, which sends the same click again.")
	if err := t.place(ctx, LoseAnswer); err != nil {
		return err
	}
	t.want = Counts{Declines: 1, Mails: 1}
	got, clicks, err := t.pay(ctx, newKey(), "tok_declined")
	if err == nil {
		t.tell("The buyer got %q, at delivery %d of one click.", statusOf(got), clicks)
	}
	return err
}

func requestHashScenario(ctx context.Context, t *trial) error {
	key := newKey()
	t.tell("A client has a mistake: it uses one key for two purchases. The first is paid.")
	if err := t.place(ctx); err != nil {
		return err
	}
	if _, _, err := t.pay(ctx, key, "tok_ok"); err != nil {
		return err
	}
	if err := t.place(ctx); err != nil {
		return err
	}
	got, _, err := t.pay(ctx, key, "tok_ok")
	if err != nil {
		return err
	}
	t.tell("For the second the buyer got %q.", statusOf(got))
	if got.Status == http.StatusUnprocessableEntity {
		t.tell("So the client makes a new key, and pays.")
		_, _, err = t.pay(ctx, newKey(), "tok_ok")
	}
	return err
}

func businessKeyScenario(ctx context.Context, t *trial) error {
	t.tell("A buyer has the checkout open in two tabs and pays in both. Each tab has a key of its own.")
	if err := t.place(ctx); err != nil {
		return err
	}
	var tabs sync.WaitGroup
	failed := make([]error, 2)
	for i := range failed {
		tabs.Go(func() { _, _, failed[i] = t.pay(ctx, newKey(), "tok_ok") })
	}
	tabs.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	t.tell("Both were answered that it is paid.")
	return nil
}

func providerKeyScenario(ctx context.Context, t *trial) error {
	return payOnce(ctx, t, "The provider charges, and its answer is thrown away as it arrives. The shop asks again by itself, as its client library does.", LoseProviderAnswer)
}

func outboxScenario(ctx context.Context, t *trial) error {
	return payOnce(ctx, t, "The request ends right after its commit, as if its process had died there (nobody is killed: it forgets where it was). The browser sends the click again.", EndBeforePublish)
}

func confirmsScenario(ctx context.Context, t *trial) error {
	return payOnce(ctx, t, "A deployment in the wrong order: the event goes out under a routing key for which no queue is bound yet; a second try would find them (the first is sent to a key that nobody reads).", NoQueue)
}

func inboxScenario(ctx context.Context, t *trial) error {
	return payOnce(ctx, t, "A confirm gets lost, so the event is published twice, under one event id.", DeliverTwice)
}

func undoScenario(ctx context.Context, t *trial) error {
	t.tell("A buyer pays and then asks for the money back. First the tickets are made void, then the provider is asked. The tickets do what they are told, but their answer is thrown away, as if their process had died before it could speak.")
	if err := t.place(ctx, LoseReply); err != nil {
		return err
	}
	if _, _, err := t.pay(ctx, newKey(), "tok_ok"); err != nil {
		return err
	}
	if n, err := t.until(ctx, trialLimit, t.about, t.want); err != nil || n != t.want {
		return fmt.Errorf("the purchase came to %s: %w", inWords(n), cmp.Or(err, errNoOutcome))
	}
	if _, err := t.client.send(ctx, http.MethodPost, t.path("/refund"), "", nil); err != nil {
		return err
	}
	state, err := t.refunded(ctx)
	t.tell("The refund ended as %q; no money went back. So the tickets must be good.", state)
	return err
}
