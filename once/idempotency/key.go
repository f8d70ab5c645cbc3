package idempotency

import (
	"errors"
	"strings"
)

// Errors of the header.
var (
	ErrKeyMissing = errors.New("the Idempotency-Key header is missing or empty")
	ErrKeyInvalid = errors.New("the Idempotency-Key header must be sent once, with 1 to 255 visible ASCII characters")
)

// MaxKeyLength counts the key's own bytes, without quotes.
const MaxKeyLength = 255

// ParseKey reads the values of the Idempotency-Key header. The bare form and
// the quoted form of the IETF draft ("abc", a structured-field string without
// parameters) name the same key.
func ParseKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", ErrKeyMissing
	}
	if len(values) > 1 {
		return "", ErrKeyInvalid
	}
	raw := strings.Trim(values[0], " \t")
	if raw == "" || raw == `""` {
		return "", ErrKeyMissing
	}
	key := raw
	if raw[0] == '"' {
		var ok bool
		if key, ok = unquote(raw); !ok {
			return "", ErrKeyInvalid
		}
	} else if strings.ContainsRune(raw, '"') {
		return "", ErrKeyInvalid
	}
	if !Possible(key) {
		return "", ErrKeyInvalid
	}
	return key, nil
}

// Possible says whether [ParseKey] could have returned key. Any other text names
// nothing, and need not reach a database that may refuse its bytes.
func Possible(key string) bool {
	if key == "" || len(key) > MaxKeyLength {
		return false
	}
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7E {
			return false
		}
	}
	return true
}

// unquote reads a structured-field string: backslash may escape only itself and
// the quote, and nothing may follow the closing quote.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	inner := s[1 : len(s)-1]
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(inner) || (inner[i] != '"' && inner[i] != '\\') {
				return "", false
			}
		}
		b.WriteByte(inner[i])
	}
	return b.String(), b.Len() > 0
}

// Suffix is what people may see of a key: its last four characters.
func Suffix(key string) string {
	if len(key) <= 4 {
		return key
	}
	return key[len(key)-4:]
}
