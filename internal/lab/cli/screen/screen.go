// Package screen shows one truth in two forms: tables for people, colours where
// there is a terminal, and JSON for programs. What a person reads on standard
// output and what a program parses there come from the same value.
//
// Text from elsewhere (a reason, an address, the detail of an event) is shown as
// text: its control characters never reach the terminal.
package screen

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/mattn/go-isatty"
)

// Screen is where results go to.
type Screen struct {
	out, err io.Writer
	json     bool
	colour   bool
	width    int // 0 is as wide as it takes
}

// Options decide the form.
type Options struct {
	// JSON and Table ask for one form; with neither a terminal gets tables and
	// everything else gets JSON.
	JSON, Table bool
	// NoColour takes the colours away; so does the variable NO_COLOR.
	NoColour bool
}

// New makes a screen on two files, which may be terminals or not.
func New(out, err *os.File, o Options) *Screen {
	s := &Screen{out: out, err: err}
	terminal := isatty.IsTerminal(out.Fd())
	s.json = o.JSON || !terminal && !o.Table
	// Both must be terminals: words on standard error are painted too.
	s.colour = terminal && isatty.IsTerminal(err.Fd()) && !o.NoColour && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if terminal {
		s.width = width(out)
	}
	if s.colour {
		text.EnableColors() // ours to decide; the library would ask the environment only
	}
	return s
}

// JSON says whether programs read along.
func (s *Screen) JSON() bool { return s.json }

// Result shows a command's result: the value itself, or what draw makes of it.
func (s *Screen) Result(value any, draw func()) error {
	if !s.json {
		draw()
		return nil
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// Each shows one of many results as soon as it is there: in JSON one value on
// each line.
func (s *Screen) Each(value any, line func() string) error {
	if !s.json {
		_, err := fmt.Fprintln(s.out, line())
		return err
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Line writes one line of a drawing.
func (s *Screen) Line(parts ...Cell) {
	painted := make([]string, 0, len(parts))
	for _, part := range parts {
		painted = append(painted, s.paint(part))
	}
	fmt.Fprintln(s.out, strings.Join(painted, " "))
}

// Paint is a cell as part of a line.
func (s *Screen) Paint(c Cell) string { return s.paint(c) }

// Say tells a person what goes on, beside the result.
func (s *Screen) Say(parts ...Cell) {
	painted := make([]string, 0, len(parts))
	for _, part := range parts {
		painted = append(painted, s.paint(part))
	}
	fmt.Fprintln(s.err, strings.Join(painted, " "))
}

// SayJSON tells a program the same.
func (s *Screen) SayJSON(value any) error {
	encoder := json.NewEncoder(s.err)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Tone is what a text means; it is never said by colour alone.
type Tone int

// The tones.
const (
	Normal Tone = iota
	Good
	Bad
	Open // not decided yet, or worth a look
	Soft // beside the point
	Strong
)

// Cell is a text with its tone.
type Cell struct {
	Text string
	Tone Tone
}

// T is a cell of no special tone.
func T(text string) Cell { return Cell{Text: text} }

// In is a cell with a tone.
func In(tone Tone, text string) Cell { return Cell{Text: text, Tone: tone} }

var colours = map[Tone]text.Colors{
	Normal: nil, Good: {text.FgGreen}, Bad: {text.FgRed, text.Bold}, Open: {text.FgYellow}, Soft: {text.Faint}, Strong: {text.Bold},
}

func (s *Screen) paint(c Cell) string {
	plain := Plain(c.Text)
	if !s.colour || c.Tone == Normal {
		return plain
	}
	return colours[c.Tone].Sprint(plain)
}

// Plain takes the control characters out of a text, so that it cannot move the
// cursor, change colours or write the window's title.
func Plain(from string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, from)
}
