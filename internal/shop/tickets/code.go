package tickets

import (
	"fmt"
	"io"
)

// alphabet is Crockford's base 32: no letter can be read as a digit.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	codeLetters = 16 // 5 bits each: 80 bits, nobody guesses one
	codeGroup   = 4
)

// drawCode reads a code from chance. 256 is a multiple of 32, so every letter
// is equally likely.
func drawCode(chance io.Reader) (string, error) {
	var drawn [codeLetters]byte
	if _, err := io.ReadFull(chance, drawn[:]); err != nil {
		return "", fmt.Errorf("tickets: no chance to draw a code from: %w", err)
	}
	code := make([]byte, 0, codeLetters+codeLetters/codeGroup-1)
	for i, b := range drawn {
		if i > 0 && i%codeGroup == 0 {
			code = append(code, '-')
		}
		code = append(code, alphabet[int(b)%len(alphabet)])
	}
	return string(code), nil
}
