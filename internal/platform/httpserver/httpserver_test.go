package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/platform/httpserver"
)

// serving serves h with the limits until the test ends, and returns its address.
func serving(t *testing.T, h http.HandlerFunc, limits httpserver.Limits) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := httpserver.New(h, limits, nil)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); running.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ended reads until the server closes the connection.
func ended(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	if err != nil {
		require.NotErrorAs(t, err, &late, "the connection is still held")
	}
}

func TestABodyThatNeverEndsIsLetGoAndOneThatArrivedHasTime(t *testing.T) {
	t.Parallel()
	work := make(chan error, 1)
	address := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			work <- r.Context().Err()
		case <-time.After(600 * time.Millisecond):
			work <- nil
		}
		_, _ = io.WriteString(w, "done")
	}, httpserver.Limits{Read: 200 * time.Millisecond})

	slow := dial(t, address)
	_, err := fmt.Fprint(slow, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{")
	require.NoError(t, err)
	ended(t, slow)

	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := dial(t, address)
		_, err := fmt.Fprint(c, request)
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_ = answer.Body.Close()
		require.Equal(t, 200, answer.StatusCode)
		require.NoError(t, <-work, "the read deadline ended a request that had arrived")
	}
}

func TestAClientThatReadsNothingIsLetGo(t *testing.T) {
	t.Parallel()
	over := make(chan error, 1)
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				over <- err
				return
			}
		}
	}, httpserver.Limits{Write: 200 * time.Millisecond})
	_, err := fmt.Fprint(dial(t, address), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Fatal("the answer is still being written")
	}
}

func TestAnAddressHoldsSoManyConnectionsAndOneThatLeavesMakesRoom(t *testing.T) {
	t.Parallel()
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }, httpserver.Limits{Connections: 3})
	var held []net.Conn
	for range 3 {
		held = append(held, dial(t, address))
		asks(t, held[len(held)-1], true)
	}
	asks(t, dial(t, address), false)
	require.NoError(t, held[0].Close())
	require.Eventually(t, func() bool {
		c := dial(t, address)
		_, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			return false
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
}

func asks(t *testing.T, c net.Conn, answered bool) {
	t.Helper()
	_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.Equal(t, answered, err == nil, "%v", err)
	if err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

func TestAHouseholdOfIPv6IsOneClient(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "2001:db8:1:2::9%eth0": "2001:db8:1:2::/64", "pipe": "pipe",
	} {
		require.Equal(t, want, httpserver.Client(address))
	}
}
