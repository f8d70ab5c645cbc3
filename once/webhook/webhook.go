package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The headers of the Standard Webhooks specification.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// MaxBody bounds a message's body, in bytes.
const MaxBody = 64 << 10

// Tolerance is how far a message's timestamp may be from now, to either side.
const Tolerance = 5 * time.Minute

// Why a message is not believed. Nothing of it was looked at beyond what the
// error names.
var (
	// ErrMalformed says that a header is missing, was sent twice or has not the
	// form that the specification gives it.
	ErrMalformed = errors.New("webhook: the headers are not those of a signed message")
	// ErrSignature says that none of our secrets made any of the signatures.
	ErrSignature = errors.New("webhook: no signature fits")
	// ErrTimestamp says that the message is theirs, and too old or too young.
	ErrTimestamp = errors.New("webhook: the timestamp is out of tolerance")
	// ErrTooLarge says that the body exceeds [MaxBody].
	ErrTooLarge = errors.New("webhook: the body is too large")
)

// Message is what was proven to come from whoever shares a secret with us.
type Message struct {
	ID   string
	At   time.Time
	Body []byte // the raw bytes that were signed
}

// Verifier proves where messages come from.
type Verifier struct {
	secrets   [][]byte
	tolerance time.Duration
	now       func() time.Time
}

// NewVerifier takes one or more secrets, each "whsec_" and the base64 of 24 to
// 64 bytes; a message that fits any of them is believed. The error never quotes
// a secret.
func NewVerifier(secrets []string, now func() time.Time) (*Verifier, error) {
	if len(secrets) == 0 || now == nil {
		return nil, errors.New("webhook: a verifier needs a secret and a clock")
	}
	v := &Verifier{tolerance: Tolerance, now: now}
	for i, text := range secrets {
		secret, err := DecodeSecret(text)
		if err != nil {
			return nil, fmt.Errorf("webhook: secret number %d: %w", i+1, err)
		}
		v.secrets = append(v.secrets, secret)
	}
	return v, nil
}

// DecodeSecret reads a secret's written form.
func DecodeSecret(text string) ([]byte, error) {
	encoded, has := strings.CutPrefix(strings.TrimSpace(text), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !has || err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, errors.New("want whsec_ and the base64 of 24 to 64 bytes")
	}
	return secret, nil
}

// Timestamps are whole seconds without sign, space or leading zero. Parsers that
// accept more let two texts mean one moment.
var timestamp = regexp.MustCompile(`^[1-9][0-9]{9,11}$`)

// Ids are visible ASCII without the dot, which separates what is signed: with a
// dot in it, one signature could be read as that of two messages.
var identifier = regexp.MustCompile(`^[!-\-/-~]{1,255}$`)

// maxSignatures bounds how many signatures of one message are tried.
const maxSignatures = 16

// Verify believes a message or says why not. It compares in constant time, and
// looks at the signature before the timestamp.
func (v *Verifier) Verify(h http.Header, body []byte) (Message, error) {
	if len(body) > MaxBody {
		return Message{}, ErrTooLarge
	}
	id, ok1 := one(h, HeaderID, identifier)
	seconds, ok2 := one(h, HeaderTimestamp, timestamp)
	given := h.Values(HeaderSignature)
	if !ok1 || !ok2 || len(given) != 1 {
		return Message{}, ErrMalformed
	}
	signatures := strings.Fields(given[0])
	if len(signatures) == 0 || len(signatures) > maxSignatures {
		return Message{}, ErrMalformed
	}
	if !v.signed(id, seconds, body, signatures) {
		return Message{}, ErrSignature
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Message{}, ErrMalformed
	}
	at := time.Unix(unix, 0).UTC()
	if off := v.now().Sub(at); off > v.tolerance || off < -v.tolerance {
		return Message{}, ErrTimestamp
	}
	return Message{ID: id, At: at, Body: body}, nil
}

func one(h http.Header, name string, form *regexp.Regexp) (string, bool) {
	given := h.Values(name)
	return strings.Join(given, ""), len(given) == 1 && form.MatchString(given[0])
}

// signed tries every secret on every signature, also after one has fitted, so
// that the time it takes tells nothing about which.
func (v *Verifier) signed(id, seconds string, body []byte, signatures []string) bool {
	fits := false
	for _, secret := range v.secrets {
		want := mac(secret, id, seconds, body)
		for _, text := range signatures {
			encoded, isV1 := strings.CutPrefix(text, "v1,")
			got, err := base64.StdEncoding.DecodeString(encoded)
			if isV1 && err == nil && hmac.Equal(got, want) {
				fits = true
			}
		}
	}
	return fits
}

func mac(secret []byte, id, seconds string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(id + "." + seconds + "."))
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// Sign makes the headers of a message, one signature for each secret. It is the
// sender's half, for tests and for whoever sends.
func Sign(secrets [][]byte, id string, at time.Time, body []byte) http.Header {
	seconds := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac(secret, id, seconds, body)))
	}
	return http.Header{
		HeaderID: {id}, HeaderTimestamp: {seconds}, HeaderSignature: {strings.Join(signatures, " ")},
	}
}
