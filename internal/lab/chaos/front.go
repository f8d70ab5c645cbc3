package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack"
	"payonce/internal/platform/httpserver"
)

// front is the one address under which the world knows the shop: a balancer
// that hands webhooks to the apis in turn, dead or alive. What fails is the
// sender's to repeat.
type front struct {
	url   string
	close func() error
}

func openFront(ctx context.Context, targets []string) (*front, error) {
	parsed := make([]*url.URL, 0, len(targets))
	for _, target := range targets {
		u, err := url.Parse(target)
		if err != nil {
			return nil, fmt.Errorf("front: %w", err)
		}
		parsed = append(parsed, u)
	}
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(parsed[turn.Add(1)%uint64(len(parsed))]) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:    client.Transport(client.Options{HeaderTimeout: 4 * time.Second, Idle: 16}),
	}
	port, err := devstack.FreePort(ctx)
	if err != nil {
		return nil, fmt.Errorf("front: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("front: %w", err)
	}
	server := httpserver.New(proxy, httpserver.Limits{}, nil)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic("chaos: the front fell down: " + err.Error()) // on loopback: nothing can take its listener away
		}
	}()
	return &front{url: "http://" + listener.Addr().String(), close: server.Close}, nil
}
