package idempotency

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Field is one value of a decoded request, named by its JSON pointer.
type Field struct {
	Pointer string
	Value   string
}

// Request is one delivery of an intent.
type Request struct {
	Scope     string // the tenant: keys of two never meet
	Key       string
	Operation string // method and route, "POST /v1/orders"
	// Fields are the decoded command and the path parameters. White space and
	// the order of fields in the body therefore do not matter.
	Fields []Field
}

// check refuses what would let two requests share a key that neither named.
func (r Request) check() error {
	switch {
	case r.Scope == "":
		return errors.New("idempotency: a request belongs to a scope")
	case !Possible(r.Key):
		return ErrKeyInvalid
	}
	return nil
}

// Fingerprint is what is stored of a request to recognise it again.
type Fingerprint struct {
	Hash []byte
	MACs map[string]string
}

// Fingerprint hashes a request. Single fields are hashed under the secret, cut
// short and bound to scope and key: enough to name the field that differs, too
// little to find out its value. The hash of the whole is made without the secret, which may
// change: of a request that can be guessed as a whole it tells which one it was.
func (r Request) Fingerprint(secret []byte) Fingerprint {
	fields := append([]Field(nil), r.Fields...)
	sort.Slice(fields, func(i, j int) bool { return fields[i].Pointer < fields[j].Pointer })
	whole := sha256.New()
	write := func(s string) { fmt.Fprintf(whole, "%d:%s", len(s), s) }
	write(r.Scope)
	write(r.Operation)
	f := Fingerprint{MACs: make(map[string]string, len(fields))}
	for _, field := range fields {
		write(field.Pointer)
		write(field.Value)
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s", r.Scope, r.Key, field.Pointer, field.Value)
		f.MACs[field.Pointer] = base64.RawStdEncoding.EncodeToString(mac.Sum(nil)[:9])
	}
	f.Hash = whole.Sum(nil)
	return f
}

// MismatchError says that a key is already used for another request.
type MismatchError struct {
	// Pointers name the fields that differ. Empty means that the operation
	// itself is another.
	Pointers []string
}

// Error implements error.
func (e *MismatchError) Error() string {
	if len(e.Pointers) == 0 {
		return "this Idempotency-Key was used for another operation"
	}
	return "this Idempotency-Key was used for a request with other values at " + strings.Join(e.Pointers, ", ")
}

// Match compares a delivery with the row stored under its key; nil or a
// [*MismatchError].
func (row Row) Match(r Request, f Fingerprint) error {
	if hmac.Equal(row.RequestHash, f.Hash) && row.Operation == r.Operation {
		return nil
	}
	e := &MismatchError{}
	if row.Operation != r.Operation {
		return e
	}
	stored := map[string]string{}
	if err := json.Unmarshal(row.FieldMACs, &stored); err != nil {
		return e
	}
	e.Pointers = differing(stored, f.MACs)
	return e
}

// Match compares a delivery with an earlier one of the same operation, made again
// from what it left behind, for an operation that finds its effect by a business
// key after the key's row has gone. nil or a [*MismatchError], as of the row.
func (r Request) Match(before Request) error {
	if pointers := differing(before.values(), r.values()); len(pointers) > 0 {
		return &MismatchError{Pointers: pointers}
	}
	return nil
}

func (r Request) values() map[string]string {
	values := make(map[string]string, len(r.Fields))
	for _, f := range r.Fields {
		values[f.Pointer] = f.Value
	}
	return values
}

// differing names the fields that are on one side only, or not the same on both.
func differing(before, now map[string]string) (pointers []string) {
	for pointer, value := range now {
		if stored, known := before[pointer]; !known || stored != value {
			pointers = append(pointers, pointer)
		}
	}
	for pointer := range before {
		if _, sent := now[pointer]; !sent {
			pointers = append(pointers, pointer)
		}
	}
	sort.Strings(pointers)
	return pointers
}
