package wire

import (
	"database/sql"

	"payonce/internal/platform/patterns"
	"payonce/internal/shop/refund"
	"payonce/once/saga"
)

// RefundView is a refund as the contract shows it.
func RefundView(r refund.Refund) Refund {
	return Refund{
		ID: PrefixRefund.ID(r.ID), PaymentID: PrefixPayment.ID(r.PaymentID), Status: RefundStatus(r.Status),
		AmountMinor: r.AmountMinor, Currency: r.Currency, Reason: r.Reason,
		FailureCode: textOrNull(r.FailureCode), CreatedAt: At(r.CreatedAt),
	}
}

// SagaView is a refund's saga as the contract shows it.
func SagaView(d saga.Definition, s saga.Saga) Saga {
	v := Saga{
		ID: PrefixSaga.ID(patterns.ID(s.ID)), State: SagaState(s.State), RefundID: PrefixRefund.ID(patterns.ID(s.Subject)), PaymentID: PrefixPayment.ID(patterns.ID(s.Correlation)),
		Failure: s.Failure, ResolvedBy: s.ResolvedBy, ResolvedReason: s.ResolvedWhy,
		CreatedAt: At(s.CreatedAt), FinishedAt: AtOrNull(s.FinishedAt), Steps: make([]SagaStep, 0, len(s.Tracks)),
	}
	if w := s.Decision; w.ID != "" {
		v.Decision = &SagaDecision{
			Outcome: SagaDecisionOutcome(w.Outcome), State: SagaDecisionState(w.State), DecidedBy: w.By, Reason: w.Why,
			Found: textOrNull(sql.NullString{String: w.Found, Valid: w.Found != ""}), DecidedAt: At(*w.DecidedAt),
		}
	}
	for _, t := range s.Tracks {
		v.Steps = append(v.Steps, SagaStep{
			Name: t.Step, Direction: SagaStepDirection(t.Direction), Status: SagaStepStatus(t.Status),
			Pivot:    t.Direction == saga.Do && t.Position < len(d.Steps) && d.Steps[t.Position].Pivot,
			Attempts: t.Attempts, DeadlineAt: AtOrNull(t.DeadlineAt), StartedAt: AtOrNull(t.StartedAt), FinishedAt: AtOrNull(t.FinishedAt),
			Error: t.Error,
		})
	}
	return v
}
