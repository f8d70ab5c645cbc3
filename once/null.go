package once

import "database/sql"

// Optional reads a column that may be NULL into text, which is empty then.
func Optional(text *string) sql.Scanner { return (*optional)(text) }

type optional string

// Scan implements sql.Scanner.
func (o *optional) Scan(value any) error {
	var read sql.NullString
	if err := read.Scan(value); err != nil {
		return err
	}
	*o = optional(read.String)
	return nil
}

// OrNull is the text as a parameter, NULL when it is empty.
func OrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
