package patterns

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/once/rabbit"
)

// AlertReplicas is about the whole broker, which is its subject. AMQP does not tell a
// queue's replicas, so a person ends it.
var AlertReplicas = replicas()

func replicas() alert.Kind {
	k := alert.Of(rabbit.TroubleUnderReplicated)
	k.ByPerson = true
	return k
}

// Broker opens a connection of a process that declares queues.
func Broker(db *postgres.DB, cfg rabbit.Config) (*rabbit.Conn, error) {
	cfg.UnderReplicated = func(ctx context.Context, queues, nodes []string) error {
		return AlertReplicas.RaiseAlone(ctx, db, uuid.Nil, "rabbitmq", struct {
			Queues []string `json:"queues"`
			Nodes  []string `json:"nodes"`
		}{queues, nodes})
	}
	return rabbit.Open(cfg)
}
