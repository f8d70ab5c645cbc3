package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"
)

// NewConforming is New with every response held against the contract; breach gets what
// does not fit.
func NewConforming(o Options, breach func(error)) http.Handler {
	s := newServer(o)
	return s.outermost(s.routes(conforming{s.contract, breach}.look))
}

type conforming struct {
	*contract
	breach func(error)
}

// look leaves a stream out, which has no end to wait for.
func (s conforming) look(c *gin.Context) {
	op := s.operation(c.Request.Method, c.FullPath())
	if op == nil || op.id == "streamActivity" {
		return
	}
	copied := &tee{ResponseWriter: c.Writer}
	c.Writer = copied
	c.Next()
	err := openapi3filter.ValidateResponse(c.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: op.input(c.Request, pathParams(c)), Status: copied.Status(), Header: copied.Header(),
		Body: io.NopCloser(bytes.NewReader(copied.body.Bytes())), Options: op.input(c.Request, nil).Options,
	})
	if err != nil {
		s.breach(fmt.Errorf("%s answered %d: %w\n%s", op.id, copied.Status(), err, copied.body.String()))
	}
	if copied.Status() >= 400 && !strings.HasPrefix(copied.Header().Get("Content-Type"), "application/problem+json") && op.id != "getReadiness" {
		s.breach(fmt.Errorf("%s answered %d as %q", op.id, copied.Status(), copied.Header().Get("Content-Type")))
	}
}

// tee keeps a copy of what is written.
type tee struct {
	gin.ResponseWriter
	body bytes.Buffer
}

// Write implements io.Writer.
func (t *tee) Write(b []byte) (int, error) {
	t.body.Write(b)
	return t.ResponseWriter.Write(b)
}

// WriteString implements io.StringWriter.
func (t *tee) WriteString(text string) (int, error) {
	t.body.WriteString(text)
	return t.ResponseWriter.WriteString(text)
}
