package bursts

import (
	"database/sql"
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/reply"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/outbox"
)

// poisons are the messages that no consumer can apply, by kind.
var poisons = map[string]struct{ eventType, payload string }{
	"schema":  {event.TypePaymentCaptured, `{"schema":999,"poisoned_by":"the laboratory"}`},
	"garbage": {event.TypePaymentCaptured, `{"schema":`},
	"type":    {"payment.enchanted", `{"schema":1}`},
}

type poisonView struct {
	EventID  string `json:"event_id"`
	Consumer string `json:"consumer"`
	Kind     string `json:"kind"`
}

// poison is POST /v1/lab/poison. The message names a destination, as a replay
// does: it goes to one queue, and the books of events leave it out.
func (r *routes) poison(w http.ResponseWriter, q *http.Request) {
	var asked struct {
		PaymentID string `json:"payment_id"`
		Consumer  string `json:"consumer"`
		Kind      string `json:"kind"`
	}
	merchant, payment, ok := r.aboutPayment(w, q, "PoisonRequest", &asked, func() string { return asked.PaymentID })
	if !ok {
		return
	}
	if asked.Kind == "" {
		asked.Kind = "schema"
	}
	id, err := uuid.NewV7()
	if err == nil {
		err = r.append(q, outbox.Event{
			ID: id.String(), Destination: asked.Consumer, Scope: merchant.String(), Correlation: payment.String(),
			AggregateType: "payment", AggregateID: payment.String(), AggregateVersion: 1,
			Type: poisons[asked.Kind].eventType, Payload: []byte(poisons[asked.Kind].payload),
		})
	}
	if err != nil {
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
		return
	}
	reply.JSON(w, http.StatusAccepted, poisonView{EventID: wire.PrefixEvent.ID(id), Consumer: asked.Consumer, Kind: asked.Kind})
}

const lastEventSQL = `
SELECT event_id, aggregate_type, aggregate_id, aggregate_version, payload, traceparent
  FROM outbox_events
 WHERE aggregate_id = $1 AND merchant_id = $2 AND type = $3 AND destination IS NULL
 ORDER BY aggregate_version DESC LIMIT 1`

type redeliveredView struct {
	EventID   string   `json:"event_id"`
	Type      string   `json:"type"`
	Consumers []string `json:"consumers"`
	Copies    int      `json:"copies"`
}

// redeliver is POST /v1/lab/redeliver: what a broker does that lost acks, as
// often as asked.
func (r *routes) redeliver(w http.ResponseWriter, q *http.Request) {
	var asked struct {
		PaymentID string `json:"payment_id"`
		Times     int    `json:"times"`
		Type      string `json:"type"`
		Consumer  string `json:"consumer"`
		AgeDays   int    `json:"age_days"`
	}
	merchant, payment, ok := r.aboutPayment(w, q, "RedeliverRequest", &asked, func() string { return asked.PaymentID })
	if !ok {
		return
	}
	if asked.Type == "" {
		asked.Type = event.TypePaymentCaptured
	}
	readers := readersOf(asked.Type, asked.Consumer)
	if len(readers) == 0 {
		pointer := "/consumer"
		reply.Refuse(w, q, wire.KindInvalidRequest, "This consumer does not read events of that type.",
			wire.ProblemError{Pointer: &pointer, Detail: "is not bound for " + asked.Type})
		return
	}
	var e struct {
		EventID          uuid.UUID `db:"event_id"`
		AggregateType    string    `db:"aggregate_type"`
		AggregateID      uuid.UUID `db:"aggregate_id"`
		AggregateVersion int64     `db:"aggregate_version"`
		Payload          []byte    `db:"payload"`
		Traceparent      string    `db:"traceparent"`
	}
	err := r.DB.Get(q.Context(), &e, lastEventSQL, payment, merchant, asked.Type)
	if errors.Is(err, sql.ErrNoRows) {
		reply.Refuse(w, q, wire.KindNotFound, "This payment has no event "+asked.Type+" yet.")
		return
	}
	id := aged(e.EventID, asked.AgeDays)
	var copies []outbox.Event
	for range asked.Times {
		for _, consumer := range readers {
			copies = append(copies, outbox.Event{
				ID: id.String(), Destination: consumer, Scope: merchant.String(), Correlation: payment.String(),
				AggregateType: e.AggregateType, AggregateID: e.AggregateID.String(), AggregateVersion: e.AggregateVersion,
				Type: asked.Type, Payload: e.Payload, Traceparent: e.Traceparent,
			})
		}
	}
	if err == nil {
		err = r.append(q, copies...)
	}
	if err != nil {
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
		return
	}
	reply.JSON(w, http.StatusAccepted, redeliveredView{EventID: wire.PrefixEvent.ID(id), Type: asked.Type, Consumers: readers, Copies: len(copies)})
}

// readersOf lists who reads a type and keeps an inbox: one, or all.
func readersOf(kind, only string) (readers []string) {
	for _, c := range event.Consumers {
		if !c.Lossy && slices.Contains(c.Types, kind) && (only == "" || only == c.Name) {
			readers = append(readers, c.Name)
		}
	}
	return readers
}

// aboutPayment reads a body that speaks of one of the caller's payments; not ok
// means refused.
func (r *routes) aboutPayment(w http.ResponseWriter, q *http.Request, schema string, into any, name func() string) (merchant, payment uuid.UUID, ok bool) {
	if !reply.Read(w, q, r.schemas[schema].Value, into) {
		return uuid.Nil, uuid.Nil, false
	}
	merchant = caller.From(q.Context()).Merchant
	payment, ok = wire.PrefixPayment.Parse(name())
	if !ok {
		reply.Refuse(w, q, wire.KindNotFound, "There is no such payment.")
		return uuid.Nil, uuid.Nil, false
	}
	return merchant, payment, r.owns(w, q, merchant, payment)
}

func (r *routes) append(q *http.Request, events ...outbox.Event) error {
	return postgres.InTx(q.Context(), r.DB, func(tx postgres.Tx) error { return patterns.Append(q.Context(), tx, events...) })
}
