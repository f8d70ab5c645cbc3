package world_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
)

// BenchmarkCharge is what the shop's own bench pays for its provider: one
// keyed charge over HTTP, from sixteen callers with kept connections.
func BenchmarkCharge(b *testing.B) {
	w := worldtest.Start(b, world.Options{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/v1/charges", strings.NewReader(oneCharge))
			if err != nil {
				b.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Idempotency-Key", fmt.Sprint("k", n.Add(1)))
			response, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != http.StatusCreated {
				b.Errorf("got %d", response.StatusCode)
				return
			}
		}
	})
}
