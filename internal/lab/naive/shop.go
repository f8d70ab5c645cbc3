package naive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
	"payonce/once/message"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Gateway is what the naive shop asks of the provider, and who counts for it.
type Gateway interface {
	provider.Charger
	provider.Refunder
	provider.Books
}

// Shop is the naive checkout itself, in the api.
type Shop struct {
	db      *postgres.DB
	keys    *idempotency.Keys
	gateway Gateway
	out     outlet
	log     *slog.Logger

	mu   sync.Mutex
	made bool // the tables
}

// keyLife is how long the keys of a naive checkout are kept.
const keyLife = 24 * time.Hour

// newShop wires. It connects to nothing but the broker, lazily: the shop beside
// it needs none.
func newShop(ctx context.Context, o Options) (*Shop, error) {
	pg, err := ownSchema(o.Postgres, "payonce-naive-api")
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return nil, err
	}
	keys, err := idempotency.New(idempotency.Config{DB: db.Once(), Table: keyTable, Secret: o.Secret, TTL: keyLife, Lease: lease})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Shop{
		db: db, gateway: o.Gateway, log: o.Log, keys: keys,
		out: outlet{db: db, publisher: &lazily{urls: o.AMQPURL, schedule: o.Schedule, log: o.Log}},
	}, nil
}

// ready makes the tables, once.
func (s *Shop) ready(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	err := Make(ctx, s.db)
	s.made = err == nil
	return err
}

// lazily is a publisher that connects when somebody publishes.
type lazily struct {
	urls     []string
	schedule retry.Schedule
	log      *slog.Logger

	mu sync.Mutex
	to outbox.Publisher
}

var errNoBroker = errors.New("the api was given no broker (PAYONCE_NAIVE_AMQP_URL)")

// Send implements outbox.Publisher.
func (l *lazily) Send(ctx context.Context, m message.Message, done func(error)) error {
	to, err := l.open()
	if err != nil {
		return err
	}
	return to.Send(ctx, m, done)
}

func (l *lazily) open() (outbox.Publisher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to != nil {
		return l.to, nil
	}
	if len(l.urls) == 0 {
		return nil, errNoBroker
	}
	conn, err := rabbit.Open(rabbit.Config{URLs: l.urls, Name: "payonce-naive-api", Topology: topology(l.schedule), Log: l.log})
	if err != nil {
		return nil, err
	}
	l.to = conn.Publisher(rabbit.PublisherConfig{})
	return l.to, nil
}
