package world

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// letter is what the mailbox keeps of a message.
type letter struct {
	messageID, subject, text string
}

// maxParts and maxDepth bound the walk through a hostile multipart message.
const (
	maxParts = 50
	maxDepth = 5
)

// parseLetter reads as much of a message as can be read. It never fails: a
// mail server accepts what it is handed, and shows bytes it cannot read as
// they came.
func parseLetter(raw []byte) letter {
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return letter{text: cleanText(string(raw))}
	}
	text, found := readPart(textproto.MIMEHeader(message.Header), message.Body, maxDepth)
	if !found {
		text = string(raw)
	}
	return letter{
		messageID: bracketed(cleanText(strings.TrimSpace(message.Header.Get("Message-Id")))),
		subject:   cleanText(decodeHeader(message.Header.Get("Subject"))),
		text:      cleanText(text),
	}
}

// readPart returns the first readable text of a part: itself, or, of a
// multipart, its plain text before anything else it has.
func readPart(header textproto.MIMEHeader, body io.Reader, depth int) (string, bool) {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045's default
	}
	if strings.HasPrefix(kind, "multipart/") && depth > 0 {
		return readParts(multipart.NewReader(body, params["boundary"]), depth-1)
	}
	if !strings.HasPrefix(kind, "text/") {
		return "", false
	}
	decoded, err := io.ReadAll(decodeBody(header.Get("Content-Transfer-Encoding"), body))
	if err != nil && len(decoded) == 0 {
		return "", false
	}
	return string(decoded), true
}

func readParts(parts *multipart.Reader, depth int) (string, bool) {
	var fallback string
	var found bool
	for range maxParts {
		part, err := parts.NextRawPart() // raw: readPart decodes by itself
		if err != nil {
			break
		}
		text, ok := readPart(part.Header, part, depth)
		if ok && !strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			return text, true
		}
		if ok && !found {
			fallback, found = text, true
		}
	}
	return fallback, found
}

func decodeBody(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	default:
		return body
	}
}

func decodeHeader(value string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}
