package event

import (
	"errors"
	"strings"
)

// Address is where a buyer's mail goes. The order's door makes one with
// [ParseAddress] before any money moves, and the mailer asks the same function
// before it sends: no address is good enough to pay with and too bad for the
// receipt.
type Address string

// ErrAddress says what an address must be like.
var ErrAddress = errors.New("must be one plain mail address like a@example.org, in ASCII, without quotes or comments")

// The lengths that every mail server takes (RFC 5321, 4.5.3.1).
const (
	maxAddress   = 254
	maxLocalPart = 64
	maxLabel     = 63 // of a domain (RFC 1035)
)

// ParseAddress accepts what every mail server understands: words joined by dots,
// an @, and a domain of letters, digits and hyphens. It refuses what only some of
// them take: quoted local parts, domain literals, and letters outside ASCII, which
// need an extension (SMTPUTF8) that is asked for long after the payment. What it
// accepts cannot end a header line or an SMTP command early.
func ParseAddress(s string) (Address, error) {
	local, domain, found := strings.Cut(s, "@")
	if !found || len(s) > maxAddress || len(local) > maxLocalPart {
		return "", ErrAddress
	}
	for word := range strings.SplitSeq(local, ".") {
		if word == "" || strings.ContainsFunc(word, notInWord) {
			return "", ErrAddress
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabel || strings.ContainsFunc(label, notInLabel) || label[0] == '-' || label[len(label)-1] == '-' {
			return "", ErrAddress
		}
	}
	return Address(s), nil
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}

// notInWord: what may stand in a word is RFC 5322's atext.
func notInWord(r rune) bool { return notInLabel(r) && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~", r) }
