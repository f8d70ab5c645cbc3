// Package reply is how the laboratory's plain handlers read and answer: as
// strictly, and in the same documents, as the shop's own.
package reply

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
)

// Refuse answers with a problem. Its request id is the edge's, which has set it on
// the answer already, or has sent it along where a request was handed on.
func Refuse(w http.ResponseWriter, q *http.Request, kind wire.Kind, detail string, places ...wire.ProblemError) {
	d := kind.Document(q.URL.Path, detail)
	id := w.Header().Get("X-Request-Id")
	if id == "" {
		id = q.Header.Get("X-Request-Id")
	}
	if id != "" {
		d.RequestID = &id
	}
	if len(places) > 0 {
		d.Errors = &places
	}
	send(w, kind.Status, wire.ProblemJSON, d)
}

// JSON answers with a view.
func JSON(w http.ResponseWriter, status int, view any) { send(w, status, wire.JSON, view) }

func send(w http.ResponseWriter, status int, media string, view any) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = w.Write(wire.Encode(view))
}

// Read reads a body of the schema; not ok means refused.
func Read(w http.ResponseWriter, q *http.Request, schema *openapi3.Schema, into any) (ok bool) {
	if media, _, _ := strings.Cut(q.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != wire.JSON {
		Refuse(w, q, wire.KindUnsupportedMediaType, "Send Content-Type: application/json.")
		return false
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		Refuse(w, q, wire.KindInvalidRequest, "The body ended early.")
		return false
	}
	return Fits(w, q, schema, body, into)
}

// Fits decodes a body of the schema; not ok means refused.
func Fits(w http.ResponseWriter, q *http.Request, schema *openapi3.Schema, body []byte, into any) (ok bool) {
	found := strictjson.Check(body, schema)
	if found == nil && json.Unmarshal(body, into) == nil {
		return true
	}
	places := make([]wire.ProblemError, 0, len(found))
	for _, v := range found {
		places = append(places, wire.ProblemError{Pointer: &v.Pointer, Detail: v.Detail})
	}
	Refuse(w, q, wire.KindInvalidRequest, "The body does not fit the contract; errors[] names each place.", places...)
	return false
}
