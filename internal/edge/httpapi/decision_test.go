package httpapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/refund"
	"payonce/once/saga"
)

func TestADecisionIsPendingWhileTheProviderIsSilentAndRefusedWhenItSaysOtherwise(t *testing.T) {
	t.Parallel()
	silence := errors.New("no answer")
	for name, says := range map[string]error{"silent": silence, "contradicts": saga.Contradict("ref_1 is gone")} {
		e := newEdge(t, func(o *httpapi.Options) {
			o.Refunds.Story = o.Refunds.Story.WithLook(refund.StepRefund, func(context.Context, saga.Saga, saga.State) error { return says })
		})
		var made wire.Refund
		e.decode(e.refund(e.paid().Payment, "R", ""), 202, &made)
		at := "/v1/refunds/" + made.ID + "/saga"
		var story wire.Saga
		e.decode(e.get(at), 200, &story)
		if story.Decision != nil {
			t.Errorf("no person decided: %+v", story.Decision)
		}
		e.exec(`UPDATE sagas SET state = 'stuck', position = 2`)
		e.exec(`UPDATE saga_steps SET status = 'done' WHERE position < 2`)
		e.exec(`UPDATE saga_steps SET status = 'started', started_at = clock_timestamp() WHERE position = 2`)
		resolve := func() reply {
			return e.post("/v1/ops/sagas/"+story.ID+"/resolve", "", `{"outcome":"compensated","reason":"seen at the bank"}`)
		}
		if errors.Is(says, silence) {
			e.decode(resolve(), 202, &story)
			if story.Decision == nil || story.Decision.State != "pending" || !strings.Contains(*story.Decision.Found, "no answer") || story.ResolvedBy != nil {
				t.Errorf("%s: %+v", name, story)
			}
			e.problem(resolve(), 409, "saga-not-stuck")
			e.problem(e.post("/v1/ops/sagas/"+story.ID+"/retry", "", ""), 409, "saga-not-stuck")
			continue
		}
		r := resolve()
		e.problem(r, 409, "saga-decision-contradicted")
		if !strings.Contains(string(r.Body), "ref_1 is gone") {
			t.Errorf("what was found is not said: %s", r.Body)
		}
		e.decode(e.get(at), 200, &story)
		if story.State != wire.SagaStateStuck || story.Decision.State != "refused" {
			t.Errorf("%s: %+v", name, story)
		}
	}
}
