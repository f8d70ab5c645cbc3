package idempotency

import (
	"encoding/json"
	"fmt"
)

// Answer is an outcome as the client gets it. These parts are stored and
// replayed byte for byte; everything else about a response is made fresh.
type Answer struct {
	Status      int
	ContentType string
	Location    string
	// Matched says that another key reached the business effect, and in which
	// of the caller's words.
	Matched string
	Body    []byte
}

type storedHeaders struct {
	ContentType string `json:"content_type"`
	Location    string `json:"location,omitempty"`
	Matched     string `json:"matched,omitempty"`
}

// Answer returns the stored outcome of a completed row.
func (row Row) Answer() (Answer, error) {
	var h storedHeaders
	if err := json.Unmarshal(row.headers, &h); err != nil {
		return Answer{}, fmt.Errorf("stored headers: %w", err)
	}
	return Answer{Status: int(row.status.Int32), ContentType: h.ContentType, Location: h.Location, Matched: h.Matched, Body: row.body}, nil
}

func (a Answer) headers() []byte {
	b, err := json.Marshal(storedHeaders{ContentType: a.ContentType, Location: a.Location, Matched: a.Matched})
	if err != nil {
		panic(err) // three strings always marshal
	}
	return b
}
