package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
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

// Whichever of the two lengths somebody before us believed, no byte of the one request
// is served as another.
// refusals are requests that a proxy could read otherwise than this server.
var refusals = map[string]struct {
	head, body string
	status     int
	got        string // what the handler read
}{
	"the length is the longer":   {"Content-Length: 49\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400, ""},
	"in the other order":         {"Transfer-Encoding: chunked\r\nContent-Length: 49\r\n", "0\r\n\r\n", 400, ""},
	"the length is the shorter":  {"content-length: 2\r\nTRANSFER-ENCODING: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", 400, ""},
	"lines end in one character": {"Content-Length: 2\nX-Other: y\nTransfer-Encoding: chunked\n", "2\r\n{}\r\n0\r\n\r\n", 400, ""},
	"with a colon in the value":  {"Content-Length: 2\r\nTransfer-Encoding: a:b\r\n", "{}", 400, ""},
	"in two lines":               {"Content-Length:\r\n 49\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400, ""},
	"a length in two lines":      {"Content-Length:\r\n\t2\r\n", "{}", 400, ""},
	"in chunks alone":            {"Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", 200, "{}"},
	"an encoding in other words": {"Transfer-Encoding: gzip, chunked\r\n", "{}", 501, ""},
	"two encodings":              {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 501, ""},
	"two lengths that differ":    {"Content-Length: 2\r\nContent-Length: 40\r\n", "{}", 400, ""},
	"a length that is none":      {"Content-Length: +2\r\n", "{}", 400, ""},
	"a space before the colon":   {"Content-Length: 49\r\nTransfer-Encoding : chunked\r\n", "0\r\n\r\n", 400, ""},
	"a control character":        {"Content-Length: 2\r\nTransfer-Encoding:\x0bchunked\r\n", "{}", 400, ""},
}

func TestARequestOfTwoLengthsIsRefusedAndOneInChunksIsTheLastOfItsConnection(t *testing.T) {
	t.Parallel()
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, one := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := make(chan string, 3)
			address := serving(t, func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				served <- r.URL.Path + " " + string(body)
			}, httpserver.Limits{})
			c := dial(t, address)
			// Behind one of a known length, whose body looks like the end of a head.
			_, err := fmt.Fprint(c, "POST /before HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n")
			require.NoError(t, err)
			reader := bufio.NewReader(c)
			goesOn(t, reader)
			require.Equal(t, "/before \r\n\r\n", <-served)
			// In one piece: the server closes when it has read enough to refuse.
			_, err = fmt.Fprint(c, "POST /first HTTP/1.1\r\nHost: x\r\n"+one.head+"\r\n"+one.body+smuggled)
			require.NoError(t, err)
			status, last := answered(t, reader)
			require.Equal(t, one.status, status)
			require.True(t, last, "the answer does not say that the connection ends")
			require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
			rest, err := io.ReadAll(reader)
			var late net.Error
			if err != nil { // a reset is an end too
				require.NotErrorAs(t, err, &late)
			}
			require.Empty(t, rest, "something else was answered on this connection")
			if one.status == 200 {
				require.Equal(t, "/first "+one.got, <-served)
			}
			require.Empty(t, served)
		})
	}
	old := dial(t, serving(t, func(http.ResponseWriter, *http.Request) {}, httpserver.Limits{}))
	_, err := fmt.Fprint(old, "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled)
	require.NoError(t, err)
	require.NoError(t, old.SetReadDeadline(time.Now().Add(10*time.Second)))
	all, _ := io.ReadAll(old)
	require.Equal(t, 1, strings.Count(string(all), "HTTP/1."), "%s", all)
}

// TestBodiesOfKnownLengthsLeaveTheConnectionToTheNextRequest sends requests in one piece
// and in pieces that end anywhere.
func TestBodiesOfKnownLengthsLeaveTheConnectionToTheNextRequest(t *testing.T) {
	t.Parallel()
	const body = "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
	var requests strings.Builder
	for range 5 {
		fmt.Fprintf(&requests, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%sGET / HTTP/1.1\r\nHost: x\r\n\r\n", len(body), body)
	}
	for _, piece := range []int{1, 7, 64, 1 << 20} {
		served := make(chan string, 10)
		c := dial(t, serving(t, func(_ http.ResponseWriter, r *http.Request) {
			all, _ := io.ReadAll(r.Body)
			served <- string(all)
		}, httpserver.Limits{}))
		for rest := requests.String(); rest != ""; {
			n := min(piece, len(rest))
			_, err := io.WriteString(c, rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		reader := bufio.NewReader(c)
		for range 5 {
			goesOn(t, reader)
			require.Equal(t, body, <-served)
			goesOn(t, reader)
			require.Empty(t, <-served)
		}
	}
}

// answered reads an answer to its end: its status, and whether it is the connection's last.
func answered(t *testing.T, from *bufio.Reader) (status int, last bool) {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode, answer.Close
}

// goesOn expects a 200 that is not the connection's last answer.
func goesOn(t *testing.T, from *bufio.Reader) {
	t.Helper()
	status, last := answered(t, from)
	require.Equal(t, 200, status)
	require.False(t, last)
}
