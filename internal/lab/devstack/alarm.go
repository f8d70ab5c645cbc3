package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// errNoBrokerAPI: only a private broker with Options.BrokerAPI can be alarmed.
var errNoBrokerAPI = errors.New("this stack has no broker API")

// SetMemoryAlarm makes the broker believe that it has no memory left, or that
// it has. While it believes so it reads nothing from a connection that
// publishes: everybody on this broker is held up.
func (s *Stack) SetMemoryAlarm(ctx context.Context, on bool) error {
	if s.BrokerAPI() == "" {
		return errNoBrokerAPI
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	method := http.MethodDelete
	if on {
		method = http.MethodPut
	}
	req, err := http.NewRequestWithContext(ctx, method, s.BrokerAPI()+"/api/memory-alarm", http.NoBody)
	if err != nil {
		return fmt.Errorf("memory alarm: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("memory alarm: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("memory alarm: the broker says %s", resp.Status)
	}
	return nil
}
