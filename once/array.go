package once

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Array writes values as Postgres reads an array, so that one parameter holds any
// number of them and a statement is the same for every driver:
//
//	DELETE FROM letters WHERE id = ANY ($1)
//
// The server takes the element's type from the statement. No element is NULL.
func Array[T string | int | int64 | bool | []byte](values []T) string {
	elements := make([]string, len(values))
	for i, value := range values {
		switch v := any(value).(type) {
		case string:
			elements[i] = `"` + escaped.Replace(v) + `"`
		case []byte:
			elements[i] = `"\\x` + hex.EncodeToString(v) + `"`
		case int:
			elements[i] = strconv.Itoa(v)
		case int64:
			elements[i] = strconv.FormatInt(v, 10)
		case bool:
			elements[i] = strconv.FormatBool(v)
		}
	}
	return "{" + strings.Join(elements, ",") + "}"
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
