package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/recording"
	"payonce/internal/edge/wire"
)

// replayPath is where the page plays recordings.
const replayPath = "/replay/"

// RecordPayment is POST /v1/payments/{id}/recording.
func (s *server) RecordPayment(ctx context.Context, r gen.RecordPaymentRequestObject) (gen.RecordPaymentResponseObject, error) {
	ctx = detach(ctx)
	p, err := s.payment(ctx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	s.settle(ctx)
	story, err := journal.Story(ctx, s.DB, p.MerchantID, p.ID, uuid.NullUUID{}, recording.MostEvents+1)
	if err != nil {
		return nil, err
	}
	proof, err := s.proofOf(ctx, p)
	if err != nil {
		return nil, err
	}
	recorded := s.Now()
	expires := recorded.Add(s.RecordingTTL)
	v := wire.Recording{
		ID: s.tokens.Recording(p.ID), RecordedAt: wire.At(recorded), ExpiresAt: wire.At(expires),
		Whole: len(story) <= recording.MostEvents, Activity: story[:min(len(story), recording.MostEvents)], Proof: proof,
		Payment: wire.RecordedPayment{
			ID: wire.PrefixPayment.ID(p.ID), Status: wire.PaymentStatus(p.Status), AmountMinor: p.AmountMinor, Currency: p.Currency,
		},
	}
	if err := recording.Keep(ctx, s.DB, p.MerchantID, p.ID, wire.Encode(v), recorded, expires); err != nil {
		return nil, err
	}
	return gen.RecordPayment201JSONResponse{
		ID: v.ID, URL: strings.TrimSuffix(s.PublicURL, "/") + replayPath + v.ID, Events: int64(len(v.Activity)), ExpiresAt: v.ExpiresAt,
	}, nil
}

// GetRecording is GET /v1/recordings/{id}. Nobody is asked who he is: the name is
// the key.
func (s *server) GetRecording(ctx context.Context, r gen.GetRecordingRequestObject) (gen.GetRecordingResponseObject, error) {
	payment, ok := s.tokens.ParseRecording(r.RecordingID)
	if !ok {
		return nil, errNotFound
	}
	body, err := recording.Find(detach(ctx), s.DB, payment)
	if errors.Is(err, recording.ErrNone) {
		return nil, errNotFound
	}
	return recorded(body), err
}

// recorded is sent as it was written down.
type recorded []byte

// VisitGetRecordingResponse implements gen.GetRecordingResponseObject.
func (b recorded) VisitGetRecordingResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", wire.JSON)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b)
	return err
}
