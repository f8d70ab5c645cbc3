package devtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"payonce/internal/lab/devstack/devtest"
	"payonce/once/message"
	"payonce/once/rabbit"
)

func TestTwoTestsWithOneQueueNameHaveTwoQueuesAndNoneAfterwards(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("first", func(t *testing.T) {
		first = devtest.Broker(t)
		declared := connect(t, first, rabbit.Topology{Queues: []rabbit.Queue{{Name: "same"}}})
		if _, err := declared.Depth(t.Context(), "same"); err != nil {
			t.Fatalf("the queue was just declared: %v", err)
		}
		empty := connect(t, devtest.Broker(t), rabbit.Topology{})
		if _, err := empty.Depth(t.Context(), "same"); !errors.Is(err, message.ErrNoQueue) {
			t.Errorf("another test's queue is seen: want ErrNoQueue, got %v", err)
		}
	})

	gone, err := rabbit.Open(rabbit.Config{URLs: []string{first}})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := gone.Ready(ctx); err == nil {
		t.Error("the virtual host outlives its test")
	}
}

func connect(t *testing.T, url string, topology rabbit.Topology) *rabbit.Conn {
	t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: topology})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}
