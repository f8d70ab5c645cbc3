package world

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
)

// parseObject walks the token stream of one object instead of filling a map,
// because a map has already forgotten that a name came twice.
func parseObject(body []byte, allowed []string) (fields, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, invalid("", "The body must be a JSON object.")
	}
	found := fields{}
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return nil, invalid("", "The body is not JSON.")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, invalid("", "The body is not JSON.")
		}
		if !slices.Contains(allowed, name) {
			return nil, invalid(name, "%q is not a parameter.", name)
		}
		if _, twice := found[name]; twice {
			return nil, invalid(name, "%q was sent twice.", name)
		}
		found[name] = value
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, invalid("", "The body is not JSON.")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, invalid("", "There is something behind the object.")
	}
	return found, nil
}
