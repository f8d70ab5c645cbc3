package naive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/shop/provider"
)

const (
	// callLimit bounds one call of the provider.
	callLimit = 1500 * time.Millisecond
	// tries is how often the naive shop asks before it gives up: nearly every
	// client library retries, so it does.
	tries = 2
)

// charge asks the provider, and asks again when no answer comes. With the key at
// the provider both are one charge. Without it each call has a key of its own, as
// libraries make them, and the provider does what it is asked to.
func (s *Shop) charge(ctx context.Context, a attempt) (c provider.Charge, err error) {
	key := fmt.Sprintf("naive:%s:%d", a.name(), a.no)
	for range tries {
		if !a.has(ProviderKey) {
			key = "naive:" + uuid.NewString()
		}
		c, err = s.call(ctx, a, key)
		if err == nil && strikes(ctx, s.db, a.ID, LoseProviderAnswer) {
			err = provider.ErrInDoubt
		}
		if !errors.Is(err, provider.ErrInDoubt) {
			break
		}
	}
	if err != nil {
		return c, fmt.Errorf("%w: %w", errDoubt, err)
	}
	return c, nil
}

func (s *Shop) call(ctx context.Context, a attempt, key string) (provider.Charge, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return s.gateway.Charge(ctx, provider.Request{Key: key, Reference: a.name(), Amount: a.amount(), Token: a.card})
}
