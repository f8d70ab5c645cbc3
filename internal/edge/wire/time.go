package wire

import (
	"fmt"
	"strconv"
	"time"
)

// Time is a point in time as the contract writes it: RFC 3339, UTC, always
// three digits of milliseconds. One layout for all is what makes stored answers
// comparable byte by byte.
type Time time.Time

const layout = "2006-01-02T15:04:05.000Z07:00"

// At converts t.
func At(t time.Time) Time { return Time(t) }

// AtOrNull converts a time that may be missing.
func AtOrNull(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	at := At(*t)
	return &at
}

// Time is the standard library's form.
func (t Time) Time() time.Time { return time.Time(t) }

// String is the form on the wire.
func (t Time) String() string { return time.Time(t).UTC().Format(layout) }

// MarshalJSON writes the form on the wire.
func (t Time) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, t.String()), nil }

// UnmarshalJSON reads any RFC 3339 time, into UTC: Postgres refuses offsets beyond 15:59.
func (t *Time) UnmarshalJSON(b []byte) error {
	text, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("a time is a string: %w", err)
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return err
	}
	*t = Time(parsed.UTC())
	return nil
}
