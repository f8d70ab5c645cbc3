package outbox

import (
	"encoding/json"

	"github.com/google/uuid"
)

// New makes an event with a fresh id. Its version is left to [Fold], or to the
// caller who knows it.
func New(scope, correlation uuid.UUID, aggregateType string, aggregate uuid.UUID, eventType string, payload any) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, err
	}
	b, err := json.Marshal(payload)
	if err != nil {
		return Event{}, err
	}
	return Event{
		ID: id, Scope: scope, Correlation: correlation,
		AggregateType: aggregateType, AggregateID: aggregate, Type: eventType, Payload: b,
	}, nil
}
