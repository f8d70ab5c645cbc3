package httpapi

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"payonce/internal/edge/alerts"
	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/event"
)

// ListAlerts is GET /v1/ops/alerts.
func (s *server) ListAlerts(ctx context.Context, r gen.ListAlertsRequestObject) (gen.ListAlertsResponseObject, error) {
	ctx = detach(ctx)
	mine := alertsOf(caller.From(ctx))
	p, err := pageOf(wire.PrefixAlert, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	state := ""
	if r.Params.State != nil {
		state = string(*r.Params.State)
	}
	found, err := alerts.List(ctx, s.DB, mine, state, p.before, p.limit+1)
	if err != nil {
		return nil, err
	}
	list := gen.ListAlerts200JSONResponse{Data: []wire.Alert{}}
	if list.ForeignOpen, err = alerts.ForeignOpen(ctx, s.DB, mine); err != nil {
		return nil, err
	}
	found, list.NextCursor = cut(p, found, func(a alerts.Alert) uuid.UUID { return a.ID })
	for _, a := range found {
		list.Data = append(list.Data, alertView(a))
	}
	return list, nil
}

// ResolveAlert is POST /v1/ops/alerts/{alert_id}/resolve.
func (s *server) ResolveAlert(ctx context.Context, r gen.ResolveAlertRequestObject) (gen.ResolveAlertResponseObject, error) {
	ctx = detach(ctx)
	id, ok := wire.PrefixAlert.Parse(r.AlertID)
	if !ok {
		return nil, errNotFound
	}
	who := caller.From(ctx)
	a, err := alerts.ResolveByPerson(ctx, s.DB, alertsOf(who), id, alerts.Decision{Who: nameOf(who), Why: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	s.Log.Info("an alert was resolved", "alert", r.AlertID, "kind", a.Kind, "who", nameOf(who), "request_id", requestID(ctx))
	return gen.ResolveAlert202JSONResponse(alertView(a)), nil
}

// SendAlertMail is POST /v1/ops/alerts/{alert_id}/send-mail.
func (s *server) SendAlertMail(ctx context.Context, r gen.SendAlertMailRequestObject) (gen.SendAlertMailResponseObject, error) {
	ctx = detach(ctx)
	id, ok := wire.PrefixAlert.Parse(r.AlertID)
	if !ok {
		return nil, errNotFound
	}
	var address event.Address
	if r.Body.Email != nil {
		var err error
		if address, err = event.ParseAddress(*r.Body.Email); err != nil {
			return nil, misplaced([]strictjson.Violation{{Pointer: "/email", Detail: err.Error()}})
		}
	}
	who := caller.From(ctx)
	a, err := alerts.SendMailAgain(ctx, s.DB, alertsOf(who), id, address, alerts.Decision{Who: nameOf(who), Why: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	s.Log.Info("a mail was queued again", "alert", r.AlertID, "who", nameOf(who), "request_id", requestID(ctx))
	return gen.SendAlertMail202JSONResponse(alertView(a)), nil
}

func alertsOf(who caller.Caller) alerts.Whose {
	return alerts.Whose{Merchant: who.Merchant, All: who.Operator}
}

// nameOf is how the person who decides is written down.
func nameOf(who caller.Caller) string {
	if who.Operator {
		return "operator"
	}
	return wire.PrefixMerchant.ID(who.Merchant)
}

func alertView(a alerts.Alert) wire.Alert {
	facts := map[string]any{}
	if err := json.Unmarshal(a.Facts, &facts); err != nil {
		facts = map[string]any{"facts": json.RawMessage(a.Facts)} // an array or a word is shown too
	}
	v := wire.Alert{
		ID: wire.PrefixAlert.ID(a.ID), Kind: a.Kind, Subject: a.Subject, State: wire.AlertState(a.State),
		Facts: facts, RaisedAt: wire.At(a.RaisedAt), ResolvedAt: wire.AtOrNull(a.ResolvedAt), Actions: []wire.AlertAction{},
	}
	if k, known := a.KindOf(); known {
		v.Ends = k.EndedBy()
	}
	if a.Merchant.Valid {
		merchant := wire.PrefixMerchant.ID(a.Merchant.UUID)
		v.MerchantID = &merchant
	}
	if a.ResolvedBy.Valid {
		v.ResolvedBy, v.ResolvedReason = &a.ResolvedBy.String, &a.ResolvedWhy.String
	}
	for _, action := range a.Possible() {
		v.Actions = append(v.Actions, wire.AlertAction(action))
	}
	return v
}
