// Package caller says who is asking: one sandbox merchant, or the operator.
//
// A sandbox is known by two tokens. The API key is for programs and can be
// shown again to its own sandbox; the session token is a browser's cookie. Both
// are made of the merchant's id and a MAC under the process's secret, so that a
// forged one is refused without asking the database; the database holds only
// their hashes and has the last word.
package caller

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// Caller is who sent a request.
type Caller struct {
	// Merchant is the sandbox; the zero id for the operator.
	Merchant uuid.UUID
	Operator bool
}

type contextKey struct{}

// With notes the caller for everything a request leads to.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller; the zero Caller when nobody was recognised.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}

// Tokens makes and recognises tokens.
type Tokens struct {
	secret   []byte
	operator [sha256.Size]byte
	hasOp    bool
}

// NewTokens needs the secret that all processes share. An empty operator token
// means that there is no operator.
func NewTokens(secret []byte, operatorToken string) *Tokens {
	return &Tokens{secret: secret, operator: sha256.Sum256([]byte(operatorToken)), hasOp: operatorToken != ""}
}

const (
	keyPrefix       = "sk_test_"
	sessionPrefix   = "ses_"
	recordingPrefix = "rec_"
	idDigits        = 32
	macDigits       = 40
)

// APIKey is the merchant's key, the same each time.
func (t *Tokens) APIKey(merchant uuid.UUID) string { return t.make(keyPrefix, merchant) }

// Session is the merchant's cookie value, the same each time.
func (t *Tokens) Session(merchant uuid.UUID) string { return t.make(sessionPrefix, merchant) }

// ParseAPIKey recognises an API key. Whether its merchant exists is the
// database's to say.
func (t *Tokens) ParseAPIKey(token string) (uuid.UUID, bool) { return t.parse(keyPrefix, token) }

// ParseSession recognises a cookie's value.
func (t *Tokens) ParseSession(token string) (uuid.UUID, bool) { return t.parse(sessionPrefix, token) }

// Recording is the name under which a payment's recording is read: whoever knows
// it may.
func (t *Tokens) Recording(payment uuid.UUID) string { return t.make(recordingPrefix, payment) }

// ParseRecording recognises a recording's name.
func (t *Tokens) ParseRecording(token string) (uuid.UUID, bool) {
	return t.parse(recordingPrefix, token)
}

// IsOperator compares in constant time.
func (t *Tokens) IsOperator(token string) bool {
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], t.operator[:]) == 1 && t.hasOp
}

func (t *Tokens) make(prefix string, id uuid.UUID) string {
	return prefix + hex.EncodeToString(id[:]) + t.mac(prefix, id)
}

func (t *Tokens) mac(prefix string, id uuid.UUID) string {
	m := hmac.New(sha256.New, t.secret)
	m.Write([]byte("payonce " + prefix))
	m.Write(id[:])
	return hex.EncodeToString(m.Sum(nil))[:macDigits]
}

func (t *Tokens) parse(prefix, token string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(rest) != idDigits+macDigits {
		return uuid.Nil, false
	}
	var id uuid.UUID
	if _, err := hex.Decode(id[:], []byte(rest[:idDigits])); err != nil {
		return uuid.Nil, false
	}
	// Compared as a whole and in constant time, so that there is one spelling.
	return id, subtle.ConstantTimeCompare([]byte(token), []byte(t.make(prefix, id))) == 1
}

// Hash is what the database holds of a token.
func Hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
