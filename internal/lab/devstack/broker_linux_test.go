package devstack_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack"
)

// All tests share one broker and delete their virtual hosts while programs of theirs may
// still declare queues. In the broker that ended, now and then, every queue that
// dead-letters at least once, whoever's it was.
func TestAVirtualHostThatIsDeletedWhileItsQueuesAreDeclaredHurtsNoOther(t *testing.T) {
	t.Parallel()
	broker, err := devstack.StartScratch(t.Context(), devstack.Options{SkipPostgres: true, BrokerAPI: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	kept := makeVirtualHost(t, broker)
	require.NoError(t, declareDelayQueue(broker.AMQPURL(kept), "kept"))
	for range 40 {
		name := makeVirtualHost(t, broker)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for n := 0; declareDelayQueue(broker.AMQPURL(name), fmt.Sprint("delay", n)) == nil; n++ { //nolint:revive // until it is gone
			}
		}()
		time.Sleep(rand.N(100 * time.Millisecond))
		answer(t, broker, http.MethodDelete, name)
		<-over
	}
	require.NoError(t, declareDelayQueue(broker.AMQPURL(kept), "new"))
}

func makeVirtualHost(t *testing.T, broker *devstack.Stack) string {
	t.Helper()
	name := uuid.NewString()
	answer(t, broker, http.MethodPut, name)
	return name
}

func answer(t *testing.T, broker *devstack.Stack, method, virtualHost string) {
	t.Helper()
	_, err := client.New(broker.BrokerAPI(), "", client.Options{}).Do(t.Context(), client.Request{Method: method, Path: "/api/vhosts/" + virtualHost})
	require.NoError(t, err)
}

// declareDelayQueue declares one as the retry schedule does, and publishes to it.
func declareDelayQueue(url, name string) error {
	conn, err := amqp.DialConfig(strings.TrimSuffix(url, "/"), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	_, err = ch.QueueDeclare(name, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "back",
		"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish", "x-message-ttl": int32(60_000),
	})
	return err
}
