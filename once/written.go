package once

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

var (
	word    = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	written sync.Map // what [Written] has read; texts are constants, so it is small
)

// Written reads a statement with the names of a program: its tables stand in braces (see
// [Schema.In]), and what else may be called otherwise in pairs, such as "<scope>",
// "tenant_id". It panics when one of those is no name of a column or a type, because both
// stand in the program. Each is read once.
func Written(schema Schema, text string, pairs ...string) Statement {
	key := string(schema) + "\x00" + text + "\x00" + strings.Join(pairs, "\x00")
	if known, ok := written.Load(key); ok {
		statement, _ := known.(Statement)
		return statement
	}
	statement := Named(Text(schema, text, pairs...))
	written.Store(key, statement)
	return statement
}

// Text is what [Written] reads.
func Text(schema Schema, text string, pairs ...string) string {
	for i := 1; i < len(pairs); i += 2 {
		if !word.MatchString(pairs[i]) {
			panic("once: " + strconv.Quote(pairs[i]) + " is no name of a column or a type")
		}
	}
	return schema.In(strings.NewReplacer(pairs...).Replace(text))
}
