package naive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/client"
)

// buyer is outside: real HTTP to the shop's public address with the sandbox's own
// key. It knows nothing that the answers do not say.
type buyer struct{ shop *client.Client }

// response is an answer; a status of 0 is none.
type response struct{ client.Answer }

func (t response) outcome() bool {
	return t.Status >= 200 && t.Status < 500 && t.Status != http.StatusConflict && t.Status != http.StatusAccepted
}

// send asks once. An error means that nothing was heard.
func (b buyer) send(ctx context.Context, method, path, key string, body any) (response, error) {
	answer, err := b.shop.Send(ctx, client.Request{Method: method, Path: path, Key: key, Body: body})
	return response{answer}, err
}

// get reads a resource that must be there.
func (b buyer) get(ctx context.Context, path string, into any) error {
	t, err := b.send(ctx, http.MethodGet, path, "", nil)
	if err == nil && t.Status != http.StatusOK {
		err = fmt.Errorf("%s answered %d", path, t.Status)
	}
	if err == nil {
		err = json.Unmarshal(t.Body, into)
	}
	return err
}

// post must be accepted.
func (b buyer) post(ctx context.Context, path, key string, body, into any) error {
	t, err := b.send(ctx, http.MethodPost, path, key, body)
	if err == nil && (t.Status < 200 || t.Status > 299) {
		err = fmt.Errorf("%s answered %d: %s", path, t.Status, t.Body)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(t.Body, into)
	}
	return err
}

// errNoOutcome says that a buyer gave up.
var errNoOutcome = errors.New("no outcome after all tries")

// insist clicks until there is an outcome, as a retrying client does: with the
// same key, or with a new one for each try. limit bounds the tries.
func (b buyer) insist(ctx context.Context, path, key string, body any, limit int) (last response, clicks int, err error) {
	for clicks < limit {
		clicks++
		t, err := b.send(ctx, http.MethodPost, path, key, body)
		if err == nil {
			if last = t; t.outcome() {
				return t, clicks, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, clicks, ctx.Err()
		case <-time.After(pauseBetweenTries):
		}
	}
	return last, clicks, errNoOutcome
}

const pauseBetweenTries = 250 * time.Millisecond

// burst lets n buyers insist at the same time and returns how many clicks it was.
func (b buyer) burst(ctx context.Context, n int, fresh bool, path string, body any, limit int) (clicks int) {
	key := "compare-" + uuid.NewString()
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for i := range n {
		own := key
		if fresh {
			own = fmt.Sprintf("%s-%d", key, i+1)
		}
		all.Go(func() {
			_, made, _ := b.insist(ctx, path, own, body, limit) // The bill says what came of it.
			mu.Lock()
			defer mu.Unlock()
			clicks += made
		})
	}
	all.Wait()
	return clicks
}
