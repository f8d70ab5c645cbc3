package world_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"payonce/internal/lab/client"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
)

// BenchmarkCharge is what the shop's own bench pays for its provider: one
// keyed charge over HTTP, from sixteen callers with kept connections.
func BenchmarkCharge(b *testing.B) {
	w := worldtest.Start(b, world.Options{})
	provider := client.New(w.URL, "", client.Options{Idle: 16})
	defer provider.CloseIdle()
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			answer, err := provider.Send(context.Background(), client.Request{
				Method: http.MethodPost, Path: "/v1/charges", Key: fmt.Sprint("k", n.Add(1)), Raw: []byte(oneCharge),
			})
			if err != nil || answer.Status != http.StatusCreated {
				b.Errorf("got %d: %v", answer.Status, err)
				return
			}
		}
	})
}
