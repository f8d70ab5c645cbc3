package devstack

import (
	"context"
	"errors"
	"net/http"
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
	method := http.MethodDelete
	if on {
		method = http.MethodPut
	}
	_, err := s.ask(ctx, 0, method, "/api/memory-alarm")
	return err
}
