package checkout

import "github.com/google/uuid"

// Waiting says how many deliveries wait for a payment's run in this process.
func (s *Service) Waiting(payment uuid.UUID) int { return s.flights.Waiting(payment.String()) }
