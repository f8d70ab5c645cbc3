package naive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
)

// client is a buyer outside: real HTTP to the shop's public address with the
// sandbox's own key. It knows nothing that the answers do not say.
type client struct {
	http   *http.Client
	url    string
	apiKey string
}

// told is an answer; a status of 0 is none.
type told struct {
	status int
	body   []byte
}

func (t told) outcome() bool {
	return t.status >= 200 && t.status < 500 && t.status != http.StatusConflict && t.status != http.StatusAccepted
}

// send asks once. An error means that nothing was heard.
func (c client) send(ctx context.Context, method, path, key string, body any) (told, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return told{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(payload))
	if err != nil {
		return told{}, err
	}
	req.Header.Set("User-Agent", bursts.UserAgent)
	req.Header.Set("Authorization", "Bearer "+c.apiKey)
	if body != nil {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	// net/http repeats a request by itself when a reused connection dies. Clicks
	// are counted here, so it must not.
	req.GetBody = nil
	res, err := c.http.Do(req)
	if err != nil {
		return told{}, err
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return told{res.StatusCode, all}, err
}

// get reads a resource that must be there.
func (c client) get(ctx context.Context, path string, into any) error {
	t, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err == nil && t.status != http.StatusOK {
		err = fmt.Errorf("%s answered %d", path, t.status)
	}
	if err == nil {
		err = json.Unmarshal(t.body, into)
	}
	return err
}

// post must be accepted.
func (c client) post(ctx context.Context, path, key string, body, into any) error {
	t, err := c.send(ctx, http.MethodPost, path, key, body)
	if err == nil && (t.status < 200 || t.status > 299) {
		err = fmt.Errorf("%s answered %d: %s", path, t.status, t.body)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(t.body, into)
	}
	return err
}

// errNoOutcome says that a buyer gave up.
var errNoOutcome = errors.New("no outcome after all tries")

// insist clicks until there is an outcome, as a retrying client does: with the
// same key, or with a new one for each try. limit bounds the tries.
func (c client) insist(ctx context.Context, path, key string, body any, limit int) (last told, clicks int, err error) {
	for clicks < limit {
		clicks++
		t, err := c.send(ctx, http.MethodPost, path, key, body)
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
func (c client) burst(ctx context.Context, n int, fresh bool, path string, body any, limit int) (clicks int) {
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
			_, made, _ := c.insist(ctx, path, own, body, limit) // The bill says what came of it.
			mu.Lock()
			defer mu.Unlock()
			clicks += made
		})
	}
	all.Wait()
	return clicks
}
