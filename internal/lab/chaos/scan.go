package chaos

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

// scanner looks for what no log and no message may hold: card numbers, secrets,
// card tokens, and panics that nobody injected.
type scanner struct {
	secrets map[string]string // value → its name

	mu       sync.Mutex
	findings []string
	seen     map[string]bool
}

func newScanner(secrets map[string]string) *scanner {
	s := &scanner{secrets: map[string]string{}, seen: map[string]bool{}}
	for name, value := range secrets {
		s.secrets[value] = name
	}
	return s
}

var (
	// digits that stand alone: inside an id or a trace they mean nothing.
	digits = regexp.MustCompile(`(?:^|[^0-9A-Za-z_.-])([3-6][0-9]{12,18})(?:$|[^0-9A-Za-z_.-]|[.](?:$|[^0-9]))`)
	token  = regexp.MustCompile(`\btok_[a-z0-9_]+`)
	apiKey = regexp.MustCompile(`\bsk_test_[A-Za-z0-9_-]{8,}`)
	trace  = regexp.MustCompile(`"(?:trace|span)_id":"[^"]*"`)
)

// found notes a finding, each once.
func (s *scanner) found(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seen[what] && len(s.findings) < 100 {
		s.seen[what] = true
		s.findings = append(s.findings, what)
	}
}

// text looks through one line or message; place says where it stands.
func (s *scanner) text(place, text string) {
	for value, name := range s.secrets {
		if strings.Contains(text, value) {
			s.found(place + " holds " + name)
		}
	}
	if t := token.FindString(text); t != "" {
		s.found(place + " holds a card token, " + t)
	}
	if apiKey.MatchString(text) {
		s.found(place + " holds an API key")
	}
	for _, match := range digits.FindAllStringSubmatch(trace.ReplaceAllString(text, ""), -1) {
		if luhn(match[1]) {
			s.found(place + " holds what may be a card number, " + match[1][:4] + "…")
		}
	}
}

// luhn says whether a number has the check digit of a card's.
func luhn(number string) bool {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// log looks through a program's log, line by line.
func (s *scanner) log(place, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		s.text(place, line)
		s.crash(place, line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
}

// crash recognises a death by the runtime that no crash point asked for.
func (s *scanner) crash(place, line string) {
	died := strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") ||
		strings.Contains(line, "WARNING: DATA RACE") || strings.Contains(line, `"msg":"panic"`) || strings.Contains(line, `"msg":"a handler panicked"`)
	if died && !strings.Contains(line, "injected by an armed crash point") {
		s.found(fmt.Sprintf("%s panicked: %.200s", place, strings.TrimSpace(line)))
	}
}
