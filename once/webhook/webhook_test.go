package webhook

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example of the Standard Webhooks specification: what its libraries agree on.
const (
	specSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	specID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	specBody      = `{"test": 2432232314}`
	specTimestamp = 1614265330
	specSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func verifier(t *testing.T, now time.Time, secrets ...string) *Verifier {
	t.Helper()
	v, err := NewVerifier(secrets, at(now))
	require.NoError(t, err)
	return v
}

func specHeaders() http.Header {
	return http.Header{HeaderID: {specID}, HeaderTimestamp: {strconv.Itoa(specTimestamp)}, HeaderSignature: {specSignature}}
}

func TestTheSpecificationsOwnExampleIsSignedAndVerifiedAlike(t *testing.T) {
	t.Parallel()
	now := time.Unix(specTimestamp, 0)
	secret, err := DecodeSecret(specSecret)
	require.NoError(t, err)
	require.Equal(t, specHeaders(), Sign([][]byte{secret}, specID, now, []byte(specBody)))
	m, err := verifier(t, now, specSecret).Verify(specHeaders(), []byte(specBody))
	require.NoError(t, err)
	require.Equal(t, Message{ID: specID, At: now.UTC(), Body: []byte(specBody)}, m)
}

func TestEachWayToBeWrongHasItsError(t *testing.T) {
	t.Parallel()
	now := time.Unix(specTimestamp, 0)
	otherVersion := strings.Replace(specSignature, "v1,", "v1a,", 1)
	for name, c := range map[string]struct {
		change func(http.Header)
		body   string
		want   error
	}{
		"no id":                          {func(h http.Header) { h.Del(HeaderID) }, specBody, ErrMalformed},
		"no timestamp":                   {func(h http.Header) { h.Del(HeaderTimestamp) }, specBody, ErrMalformed},
		"no signature":                   {func(h http.Header) { h.Del(HeaderSignature) }, specBody, ErrMalformed},
		"an empty signature":             {func(h http.Header) { h.Set(HeaderSignature, " ") }, specBody, ErrMalformed},
		"two ids":                        {func(h http.Header) { h.Add(HeaderID, specID) }, specBody, ErrMalformed},
		"two timestamps":                 {func(h http.Header) { h.Add(HeaderTimestamp, "1614265330") }, specBody, ErrMalformed},
		"two signature headers":          {func(h http.Header) { h.Add(HeaderSignature, specSignature) }, specBody, ErrMalformed},
		"seventeen signatures":           {func(h http.Header) { h.Set(HeaderSignature, strings.Repeat("v1,eA== ", 17)) }, specBody, ErrMalformed},
		"an id with a dot":               {func(h http.Header) { h.Set(HeaderID, "msg.1") }, specBody, ErrMalformed},
		"an id with a space":             {func(h http.Header) { h.Set(HeaderID, "msg 1") }, specBody, ErrMalformed},
		"an id of 256 bytes":             {func(h http.Header) { h.Set(HeaderID, strings.Repeat("a", 256)) }, specBody, ErrMalformed},
		"a timestamp with a plus":        {func(h http.Header) { h.Set(HeaderTimestamp, "+1614265330") }, specBody, ErrMalformed},
		"a timestamp with a zero before": {func(h http.Header) { h.Set(HeaderTimestamp, "01614265330") }, specBody, ErrMalformed},
		"a timestamp in milliseconds":    {func(h http.Header) { h.Set(HeaderTimestamp, "1614265330000") }, specBody, ErrMalformed},
		"a timestamp that is a date":     {func(h http.Header) { h.Set(HeaderTimestamp, "2021-02-25") }, specBody, ErrMalformed},
		"a space less in the body":       {func(http.Header) {}, `{"test":2432232314}`, ErrSignature},
		"an empty body":                  {func(http.Header) {}, "", ErrSignature},
		"another id":                     {func(h http.Header) { h.Set(HeaderID, "msg_other") }, specBody, ErrSignature},
		"a younger timestamp":            {func(h http.Header) { h.Set(HeaderTimestamp, "1614265331") }, specBody, ErrSignature},
		"no base64":                      {func(h http.Header) { h.Set(HeaderSignature, "v1,***") }, specBody, ErrSignature},
		"an unknown version only":        {func(h http.Header) { h.Set(HeaderSignature, otherVersion) }, specBody, ErrSignature},
		"a signature without version":    {func(h http.Header) { h.Set(HeaderSignature, specSignature[3:]) }, specBody, ErrSignature},
		"a body of 65,537 bytes":         {func(http.Header) {}, strings.Repeat("x", MaxBody+1), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := specHeaders()
			c.change(h)
			_, err := verifier(t, now, specSecret).Verify(h, []byte(c.body))
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestFiveMinutesToEitherSideAreToleratedAndASecondMoreIsNot(t *testing.T) {
	t.Parallel()
	sent := time.Unix(specTimestamp, 0)
	for _, c := range []struct {
		off  time.Duration
		want error
	}{
		{0, nil}, {Tolerance, nil}, {-Tolerance, nil},
		{Tolerance + time.Second, ErrTimestamp}, {-Tolerance - time.Second, ErrTimestamp}, {10 * time.Minute, ErrTimestamp},
	} {
		_, err := verifier(t, sent.Add(c.off), specSecret).Verify(specHeaders(), []byte(specBody))
		require.ErrorIs(t, err, c.want, "%s", c.off)
	}
}

func TestWhileASecretIsReplacedBothAreBelievedAndAfterwardsOne(t *testing.T) {
	t.Parallel()
	now := time.Unix(specTimestamp, 0)
	next := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret of thirty-two bytes"))
	young, err := DecodeSecret(next)
	require.NoError(t, err)
	old, err := DecodeSecret(specSecret)
	require.NoError(t, err)
	byOld, byYoung, byBoth := Sign([][]byte{old}, "m", now, nil), Sign([][]byte{young}, "m", now, nil), Sign([][]byte{young, old}, "m", now, nil)
	during, after := verifier(t, now, specSecret, next), verifier(t, now, next)
	for _, h := range []http.Header{byOld, byYoung, byBoth} {
		_, err := during.Verify(h, nil)
		require.NoError(t, err)
	}
	_, err = after.Verify(byOld, nil)
	require.ErrorIs(t, err, ErrSignature)
	_, err = after.Verify(byBoth, nil)
	require.NoError(t, err, "a sender that signs with both needs no moment of change")
}

func TestASecretThatIsNoneIsRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "whsec_short", "sk_live_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + strings.Repeat("A", 200)} {
		_, err := NewVerifier([]string{bad}, time.Now)
		require.Error(t, err)
		if bad != "" && bad != "whsec_" {
			require.NotContains(t, err.Error(), bad)
		}
	}
	_, err := NewVerifier(nil, time.Now)
	require.Error(t, err)
}

// Whatever the headers and bytes: no panic, and belief only for what was signed.
func FuzzVerify(f *testing.F) {
	now := time.Unix(specTimestamp, 0)
	f.Add(specID, strconv.Itoa(specTimestamp), specSignature, []byte(specBody))
	f.Add("", "0", "v1,", []byte("{}"))
	f.Add("a.b", "+1614265330", "v1, v1a,x v1,eA==", []byte{0xff, 0})
	v, err := NewVerifier([]string{specSecret}, at(now))
	require.NoError(f, err)
	secret, err := DecodeSecret(specSecret)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, id, seconds, signature string, body []byte) {
		m, err := v.Verify(http.Header{HeaderID: {id}, HeaderTimestamp: {seconds}, HeaderSignature: {signature}}, body)
		if err != nil {
			return
		}
		want := Sign([][]byte{secret}, m.ID, m.At, m.Body).Get(HeaderSignature)
		if !strings.Contains(signature, want) {
			t.Errorf("believed %q without its signature %q", signature, want)
		}
	})
}
