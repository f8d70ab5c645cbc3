package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// MaxDepth is how deep values may be nested; the outermost is level one.
const MaxDepth = 16

// maxViolations bounds an answer: a body of 64 KiB can be wrong in thousands of
// places, and nobody reads the tenth page.
const maxViolations = 20

// Violation is one offending place.
type Violation struct {
	// Pointer is a JSON pointer into the body; "" is the whole body.
	Pointer string
	Detail  string
}

// Check judges a body by a schema. No violations means that decoding it into
// the type generated from the schema loses and invents nothing.
func Check(body []byte, schema *openapi3.Schema) []Violation {
	if v := wellFormed(body); v != nil {
		return []Violation{*v}
	}
	w := &walker{tokens: json.NewDecoder(bytes.NewReader(body)), replaced: bytes.ContainsRune(body, utf8.RuneError)}
	w.tokens.UseNumber()
	w.value(schema, "", 1)
	if len(w.found) > 0 {
		return w.found
	}
	return bounds(body, schema)
}

// wellFormed looks at the bytes as a whole.
func wellFormed(body []byte) *Violation {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return &Violation{Detail: "the body is empty, expected a JSON object"}
	case !utf8.Valid(body):
		return &Violation{Detail: "the body is not valid UTF-8"}
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return &Violation{Detail: "the body begins with a byte order mark; send plain UTF-8"}
	}
	var whole json.RawMessage
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(body, &whole); {
	case errors.As(err, &syntax):
		return &Violation{Detail: fmt.Sprintf("not one JSON value: the mistake is at byte %d", syntax.Offset)}
	case err != nil:
		return &Violation{Detail: "not one JSON value"}
	}
	return nil
}

// walker goes through the tokens beside the schema.
type walker struct {
	tokens *json.Decoder
	found  []Violation
	// replaced says that the body itself holds U+FFFD, so that one in a string
	// proves nothing.
	replaced bool
}

func (w *walker) report(pointer, format string, args ...any) {
	if len(w.found) < maxViolations {
		w.found = append(w.found, Violation{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
}

// next returns the next token. The body is known to be well-formed, so there is
// no error but the end, which the walk never reaches.
func (w *walker) next() json.Token {
	t, err := w.tokens.Token()
	if err != nil && !errors.Is(err, io.EOF) {
		w.report("", "not one JSON value")
	}
	return t
}

// value judges one value. A nil schema means that a violation above already
// covers it and only its form is looked at.
func (w *walker) value(schema *openapi3.Schema, pointer string, depth int) {
	token := w.next()
	if schema != nil {
		if detail := mistyped(token, schema); detail != "" {
			w.report(pointer, "%s", detail)
			schema = nil
		}
	}
	switch t := token.(type) {
	case json.Delim:
		if depth > MaxDepth {
			w.report(pointer, "nested deeper than %d levels", MaxDepth)
			w.skip()
			return
		}
		if t == '{' {
			w.object(schema, pointer, depth)
		} else {
			w.array(schema, pointer, depth)
		}
	case string:
		w.text(t, pointer)
	}
}

// skip reads to the end of the value whose opening was just read.
func (w *walker) skip() {
	for open := 1; open > 0; {
		switch w.next() {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'), nil:
			open--
		}
	}
}

func (w *walker) array(schema *openapi3.Schema, pointer string, depth int) {
	var items *openapi3.Schema
	if schema != nil && schema.Items != nil {
		items = schema.Items.Value
	}
	for i := 0; w.tokens.More(); i++ {
		w.value(items, fmt.Sprintf("%s/%d", pointer, i), depth+1)
	}
	w.next()
}

func (w *walker) object(schema *openapi3.Schema, pointer string, depth int) {
	seen := map[string]bool{}
	for w.tokens.More() {
		name, _ := w.next().(string)
		at := pointer + "/" + escape(name)
		w.text(name, at)
		switch {
		case seen[name]:
			w.report(at, "this name is given more than once")
		default:
			seen[name] = true
		}
		w.value(w.member(schema, name, at), at, depth+1)
	}
	w.next()
	if schema == nil {
		return
	}
	for _, name := range schema.Required {
		if !seen[name] {
			w.report(pointer+"/"+escape(name), "this field is required")
		}
	}
}

// member finds the schema of a field and reports a name that there is not, unless
// the schema says itself that there may be others.
func (w *walker) member(schema *openapi3.Schema, name, at string) *openapi3.Schema {
	if schema == nil {
		return nil
	}
	if known := schema.Properties[name]; known != nil {
		return known.Value
	}
	for other := range schema.Properties {
		if strings.EqualFold(other, name) {
			w.report(at, "names are written in lower case: this one is %q", other)
			return nil
		}
	}
	if open := schema.AdditionalProperties.Has; open == nil || !*open {
		w.report(at, "there is no such field")
	}
	return nil
}

// text judges the characters of a string or name.
func (w *walker) text(s, pointer string) {
	switch {
	case strings.ContainsRune(s, 0):
		w.report(pointer, "must not contain U+0000")
	case !w.replaced && strings.ContainsRune(s, utf8.RuneError):
		w.report(pointer, "half of a surrogate pair is no character")
	}
}

// pointerEscapes is made once: a Replacer builds its table on first use, which
// was a fifth of all memory that a capture allocated.
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// escape writes a name as a step of a JSON pointer (RFC 6901), cut short so that
// an answer cannot be made as long as its question.
func escape(name string) string {
	name = pointerEscapes.Replace(name)
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}
