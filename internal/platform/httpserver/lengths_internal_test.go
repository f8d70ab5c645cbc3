package httpserver

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// piecewise is a connection that hands out what it has in pieces.
type piecewise struct {
	net.Conn
	from io.Reader
}

func (p piecewise) Read(b []byte) (int, error) { return p.from.Read(b) }

// TestWhatIsRefusedDoesNotDependOnWhereThePiecesEnd: a client chooses how it cuts its bytes.
func TestWhatIsRefusedDoesNotDependOnWhereThePiecesEnd(t *testing.T) {
	t.Parallel()
	const before = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\n" +
		"GET / HTTP/1.1\r\nX-Content-Length: 5\r\nTransfer-Encodings: none\r\n\r\n"
	for sent, read := range map[string]string{
		"POST / HTTP/1.1\r\nContent-Length: 2\r\nTRANSFER-encoding: chunked\r\n\r\n": "POST / HTTP/1.1\r\nContent-Length: 2\r\nTRANSFER-encoding  chunked\r\n\r\n",
		"POST / HTTP/1.1\nTransfer-Encoding: chunked\ncontent-length: 2\n\n":         "POST / HTTP/1.1\nTransfer-Encoding: chunked\ncontent-length  2\n\n",
		"POST / HTTP/1.1\r\nContent-Length:\r\n 2\r\n\r\n":                           "POST / HTTP/1.1\r\nContent-Length:\r\n:2\r\n\r\n",
	} {
		for _, pieces := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, func(r io.Reader) io.Reader { return r }} {
			got, err := io.ReadAll(&oneLength{Conn: piecewise{from: pieces(strings.NewReader(before + sent))}})
			require.NoError(t, err)
			require.Equal(t, before+read, string(got))
		}
	}
}
