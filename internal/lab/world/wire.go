package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"
)

// maxBody bounds a request body; a charge is a few hundred bytes.
const maxBody = 64 << 10

// apiError is the provider's refusal as it goes over the wire, under "error".
type apiError struct {
	status int
	// Code is for programs and never changes; Message is for people.
	Code        string `json:"code"`
	Message     string `json:"message"`
	Param       string `json:"param,omitempty"`
	DeclineCode string `json:"decline_code,omitempty"`
	retryAfter  string
}

// Error makes a refusal an error, so that checks can return it as one.
func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// invalid is a 400 that names the offending parameter.
func invalid(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, Code: "invalid_request",
		Message: fmt.Sprintf(format, args...), Param: param}
}

// Refusals that carry no detail of their own.
var (
	errUnauthorized = &apiError{status: http.StatusUnauthorized, Code: "unauthorized",
		Message: "Send Authorization: Bearer and any key, or no Authorization at all."}
	errMisdirected = &apiError{status: http.StatusMisdirectedRequest, Code: "misdirected_request",
		Message: "The Host header names another server than this one."}
	errOfAPage = &apiError{status: http.StatusForbidden, Code: "page_not_allowed",
		Message: "Pages reach the laboratory through the shop's api."}
	errNotFound = &apiError{status: http.StatusNotFound, Code: "not_found",
		Message: "There is nothing here by that name."}
	errTooLarge = &apiError{status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
		Message: "A body may have 65536 bytes."}
	errNotJSON = &apiError{status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
		Message: "Send application/json."}
	errUnavailable = &apiError{status: http.StatusServiceUnavailable, Code: "provider_unavailable",
		Message: "The provider is down. Nothing was done.", retryAfter: "1"}
	// errBooks says the truth about a failed statement: its commit may have
	// happened. A caller must treat it as ambiguous and ask by its key.
	errBooks = &apiError{status: http.StatusInternalServerError, Code: "provider_error",
		Message: "The provider could not finish. It may or may not have acted: ask by your key."}
)

// writeError sends any error in the provider's shape. What is not an apiError
// is ours and stays inside; the caller has logged it.
func writeError(w http.ResponseWriter, err error) {
	var refusal *apiError
	if !errors.As(err, &refusal) {
		refusal = errBooks
	}
	if refusal.retryAfter != "" {
		w.Header().Set("Retry-After", refusal.retryAfter)
	}
	writeJSON(w, refusal.status, struct {
		Error *apiError `json:"error"`
	}{refusal})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	writeBytes(w, status, mustEncode(value))
}

func writeBytes(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// mustEncode renders our own wire structs; they hold nothing that
// encoding/json can refuse.
func mustEncode(value any) []byte {
	body, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("world: encode %T: %v", value, err))
	}
	return append(body, '\n')
}

// page is the shape of every list.
type page[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

// fields is a decoded JSON object, its values still raw.
type fields map[string]json.RawMessage

// readObject reads one flat JSON object strictly: declared as JSON, within the
// limit, valid UTF-8, no member twice, none that is not allowed (in exactly
// that spelling), nothing behind it. The standard decoder would let most of
// that pass, and a provider that guesses what an amount was meant to be is
// not one to test against.
func readObject(w http.ResponseWriter, r *http.Request, allowed ...string) (fields, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, errNotJSON
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, invalid("", "The body could not be read.")
	}
	if !utf8.Valid(body) {
		return nil, invalid("", "The body is not UTF-8.")
	}
	return parseObject(body, allowed)
}

// str returns a string member; absent, null and anything else are refused.
func (f fields) str(name string) (string, error) {
	var value *string
	if raw, ok := f[name]; !ok || json.Unmarshal(raw, &value) != nil || value == nil {
		return "", invalid(name, "%s must be a string.", name)
	}
	return *value, nil
}

// integer returns an integer member written in plain digits: 4200, but not
// 42e2, 4200.0 or "4200".
func (f fields) integer(name string) (int64, error) {
	var value *int64
	if raw, ok := f[name]; !ok || json.Unmarshal(raw, &value) != nil || value == nil {
		return 0, invalid(name, "%s must be an integer.", name)
	}
	return *value, nil
}

// stamp writes a time the way all of payonce does: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
