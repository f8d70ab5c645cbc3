package devstack_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack"
	"payonce/once/rabbit"
)

// All tests share one broker and delete their virtual hosts while programs of theirs may
// still declare queues. In the broker that ended, now and then, every queue that
// dead-letters at least once, in any virtual host.
func TestAVirtualHostThatIsDeletedWhileItsQueuesAreDeclaredHurtsNoOther(t *testing.T) {
	t.Parallel()
	broker, err := devstack.StartScratch(t.Context(), devstack.Options{SkipPostgres: true, BrokerAPI: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	kept := makeVirtualHost(t, broker)
	for range 40 {
		name := makeVirtualHost(t, broker)
		declaring := declares(t, broker, name, 20)
		time.Sleep(rand.N(100 * time.Millisecond))
		answer(t, broker, http.MethodDelete, name)
		declaring.Close()
	}
	last := declares(t, broker, kept, 1)
	defer last.Close()
	ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, last.Ready(ready), "a queue of another virtual host can be declared")
}

// declares begins to declare so many delay queues.
func declares(t *testing.T, broker *devstack.Stack, virtualHost string, n int) *rabbit.Conn {
	t.Helper()
	config := rabbit.Config{URLs: []string{broker.AMQPURL(virtualHost)}}
	for i := range n {
		config.Topology.Queues = append(config.Topology.Queues, rabbit.DelayQueue(fmt.Sprint("delay", i), 60_000))
	}
	conn, err := rabbit.Open(config)
	require.NoError(t, err)
	return conn
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
