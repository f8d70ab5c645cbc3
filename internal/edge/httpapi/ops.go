package httpapi

import (
	"context"
	"time"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/event"
)

// GetAudit is GET /v1/audit. A sandbox sees its own offenders and how many
// others have; the operator sees all.
func (s *server) GetAudit(ctx context.Context, _ gen.GetAuditRequestObject) (gen.GetAuditResponseObject, error) {
	ctx = detach(ctx)
	report, err := s.audit(ctx, caller.From(ctx))
	if err != nil {
		return nil, err
	}
	return gen.GetAudit200JSONResponse(auditView(report)), nil
}

func (s *server) audit(ctx context.Context, who caller.Caller) (audit.Report, error) {
	if who.Operator {
		return s.Audit.CheckAll(ctx)
	}
	return s.Audit.Check(ctx, who.Merchant)
}

func auditView(r audit.Report) wire.Audit {
	v := wire.Audit{Ok: r.OK, CheckedAt: wire.At(r.CheckedAt), Invariants: make([]wire.Invariant, 0, len(r.Invariants))}
	for _, i := range r.Invariants {
		v.Invariants = append(v.Invariants, wire.Invariant{
			ID: i.ID, Kind: wire.InvariantKind(i.Kind), Ok: i.OK, Observable: i.Observable,
			Statement: i.Statement, Query: i.Query, Violations: i.Violations, ForeignViolations: int64(i.Foreign),
		})
	}
	return v
}

// ListProcesses is GET /v1/processes.
func (s *server) ListProcesses(ctx context.Context, _ gen.ListProcessesRequestObject) (gen.ListProcessesResponseObject, error) {
	all, err := s.Tail.Processes(detach(ctx))
	if err != nil {
		return nil, err
	}
	list := make([]wire.Process, 0, len(all))
	for _, p := range all {
		state := wire.ProcessStateDown
		if p.Up() {
			state = wire.ProcessStateUp
		}
		list = append(list, wire.Process{
			Process: wire.ProcessProcess(p.Name), State: state, Instances: p.Instances, BrokerOk: p.BrokerOK, BeatAt: wire.AtOrNull(p.BeatAt),
		})
	}
	return gen.ListProcesses200JSONResponse{Data: list}, nil
}

const queuesSQL = `SELECT queue, ready, consumers, sampled_at FROM queue_samples ORDER BY queue`

const backlogSQL = `
SELECT count(*) AS unpublished,
       floor(extract(epoch FROM clock_timestamp() - min(created_at)))::bigint AS oldest_seconds
  FROM outbox_events WHERE published_at IS NULL`

// ListQueues is GET /v1/ops/queues.
func (s *server) ListQueues(ctx context.Context, _ gen.ListQueuesRequestObject) (gen.ListQueuesResponseObject, error) {
	ctx = detach(ctx)
	if s.Production && !caller.From(ctx).Operator {
		return nil, errOperator
	}
	var queues []struct {
		Queue     string    `db:"queue"`
		Ready     int64     `db:"ready"`
		Consumers int       `db:"consumers"`
		SampledAt time.Time `db:"sampled_at"`
	}
	var backlog struct {
		Unpublished   int64  `db:"unpublished"`
		OldestSeconds *int64 `db:"oldest_seconds"`
	}
	if err := s.DB.Select(ctx, &queues, queuesSQL); err != nil {
		return nil, err
	}
	if err := s.DB.Get(ctx, &backlog, backlogSQL); err != nil {
		return nil, err
	}
	list := make([]wire.Queue, 0, len(queues))
	for _, q := range queues {
		list = append(list, wire.Queue{Queue: q.Queue, Ready: q.Ready, Consumers: q.Consumers, Lossy: event.Lossy(q.Queue), SampledAt: wire.At(q.SampledAt)})
	}
	return gen.ListQueues200JSONResponse{Data: list, Outbox: wire.OutboxBacklog{Unpublished: backlog.Unpublished, OldestSeconds: backlog.OldestSeconds}}, nil
}

// GetHealth is GET /healthz.
func (s *server) GetHealth(context.Context, gen.GetHealthRequestObject) (gen.GetHealthResponseObject, error) {
	return gen.GetHealth200JSONResponse{Status: wire.HealthStatusOk}, nil
}

// GetReadiness is GET /readyz. What is asked is named, and how it failed is in
// the log only.
func (s *server) GetReadiness(ctx context.Context, _ gen.GetReadinessRequestObject) (gen.GetReadinessResponseObject, error) {
	v := wire.Readiness{Ready: true, Checks: []wire.ReadinessCheck{}}
	for _, check := range s.Ready {
		asked, cancel := context.WithTimeout(detach(ctx), time.Second)
		err := check.Ask(asked)
		cancel()
		one := wire.ReadinessCheck{Name: check.Name, Ok: err == nil}
		if err != nil {
			s.Log.Warn("not ready", "check", check.Name, "error", err)
			detail := "not available"
			one.Detail, v.Ready = &detail, false
		}
		v.Checks = append(v.Checks, one)
	}
	if !v.Ready {
		return gen.GetReadiness503JSONResponse(v), nil
	}
	return gen.GetReadiness200JSONResponse(v), nil
}
