package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"
)

// integer is the one spelling of an integer: no fraction, no exponent, no
// leading zero (which JSON forbids anyway), no minus zero.
var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// mistyped says what is wrong with a token where the schema wants a type.
func mistyped(token json.Token, schema *openapi3.Schema) string {
	if token == nil {
		if schema.Nullable {
			return ""
		}
		return "must not be null"
	}
	switch {
	case schema.Type.Is(openapi3.TypeObject):
		if token != json.Delim('{') {
			return "must be an object"
		}
	case schema.Type.Is(openapi3.TypeArray):
		if token != json.Delim('[') {
			return "must be an array"
		}
	case schema.Type.Is(openapi3.TypeString):
		if _, ok := token.(string); !ok {
			return "must be a string"
		}
	case schema.Type.Is(openapi3.TypeBoolean):
		if _, ok := token.(bool); !ok {
			return "must be true or false"
		}
	case schema.Type.Is(openapi3.TypeInteger):
		return notInteger(token)
	}
	return ""
}

func notInteger(token json.Token) string {
	number, ok := token.(json.Number)
	switch {
	case !ok:
		return "must be an integer, written as digits without quotes"
	case !integer.MatchString(number.String()):
		return "must be an integer, without fraction or exponent"
	}
	if _, err := strconv.ParseInt(number.String(), 10, 64); err != nil {
		return "is out of range"
	}
	return ""
}

// bounds judges minima, maxima, lengths, patterns and enumerations.
func bounds(body []byte, schema *openapi3.Schema) []Violation {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return []Violation{{Detail: "not one JSON value"}}
	}
	return Describe(schema.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsRequest()))
}

// Describe turns a schema error into violations without repeating the value.
func Describe(err error) []Violation {
	if err == nil {
		return nil
	}
	var several openapi3.MultiError
	if errors.As(err, &several) {
		var all []Violation
		for _, one := range several {
			all = append(all, Describe(one)...)
		}
		return all[:min(len(all), maxViolations)]
	}
	var one *openapi3.SchemaError
	if !errors.As(err, &one) {
		return []Violation{{Detail: "does not fit the contract"}}
	}
	v := Violation{Detail: reason(one)}
	for _, step := range one.JSONPointer() {
		v.Pointer += "/" + escape(step)
	}
	return []Violation{v}
}

// reason says in plain words which bound was missed.
func reason(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "minimum":
		return "must be at least " + strconv.FormatFloat(*s.Min, 'f', -1, 64)
	case "maximum":
		return "must be at most " + strconv.FormatFloat(*s.Max, 'f', -1, 64)
	case "minLength":
		return "must have at least " + strconv.FormatUint(s.MinLength, 10) + " characters"
	case "maxLength":
		return "must have at most " + strconv.FormatUint(*s.MaxLength, 10) + " characters"
	case "minItems":
		return "must have at least " + strconv.FormatUint(s.MinItems, 10) + " entries"
	case "maxItems":
		return "must have at most " + strconv.FormatUint(*s.MaxItems, 10) + " entries"
	case "pattern":
		return "has the wrong form"
	case "enum":
		return "is none of the values allowed here"
	case "type":
		return "has the wrong type"
	}
	return "does not fit the contract"
}
