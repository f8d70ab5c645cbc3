package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// The specification's own library and this package sign and verify each other's
// messages, whatever the bytes are.
func TestTheReferenceLibraryAndWeSignAndVerifyEachOther(t *testing.T) {
	t.Parallel()
	reference, err := standardwebhooks.NewWebhook(specSecret)
	require.NoError(t, err)
	secret, err := DecodeSecret(specSecret)
	require.NoError(t, err)
	now := time.Now()
	for _, body := range []string{"", "{}", specBody, "\x00\xff\xfe no UTF-8", " \n{ }\t", strings.Repeat("ä", MaxBody/2)} {
		ours := Sign([][]byte{secret}, specID, now, []byte(body))
		require.NoError(t, reference.Verify([]byte(body), ours))
		theirs, err := reference.Sign(specID, now, []byte(body))
		require.NoError(t, err)
		require.Equal(t, theirs, ours.Get(HeaderSignature))
		h := http.Header{HeaderID: {specID}, HeaderTimestamp: ours[HeaderTimestamp], HeaderSignature: {theirs}}
		_, err = verifier(t, now, specSecret).Verify(h, []byte(body))
		require.NoError(t, err)
	}
}

// What the reference lets pass and this package does not: two spellings of one
// moment, and an id whose dot makes two messages of one signature.
func TestWhereTheReferenceIsLaxWeAreStrict(t *testing.T) {
	t.Parallel()
	reference, err := standardwebhooks.NewWebhook(specSecret)
	require.NoError(t, err)
	secret, err := DecodeSecret(specSecret)
	require.NoError(t, err)
	now := time.Now()
	for name, lax := range map[string]func() http.Header{
		"a plus": func() http.Header {
			h := Sign([][]byte{secret}, specID, now, nil)
			h.Set(HeaderTimestamp, "+"+h.Get(HeaderTimestamp))
			return h
		},
		"a leading zero": func() http.Header {
			h := Sign([][]byte{secret}, specID, now, nil)
			h.Set(HeaderTimestamp, "0"+h.Get(HeaderTimestamp))
			return h
		},
		"an id of two": func() http.Header { return Sign([][]byte{secret}, "msg.1", now, nil) },
	} {
		h := lax()
		require.NoError(t, reference.Verify(nil, h), name)
		_, err := verifier(t, now, specSecret).Verify(h, nil)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}
