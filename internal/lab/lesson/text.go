package lesson

import (
	"cmp"
	"embed"
	"fmt"
	"hash/fnv"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed text/*.md
var texts embed.FS

// Text is a lesson's words, as written; see [Text.HTML] for how they are shown.
type Text struct {
	Title, Summary string
	Minutes        int
	// Truth is the option that a run is expected to show. It is never sent to
	// anybody: a visitor learns it from the run.
	Truth        string
	Question     string
	Options      []Option
	Unguaranteed string
	// Code and Records are what the text links to, in their order.
	Code    []Code
	Records []Record
	Box     *Box

	sections map[string]string // by heading
}

// recordTitles are the headings of the records that texts link to, because an
// image has no docs; a test compares.
var recordTitles = map[int]string{
	2:  "The programs run each of a capture's two transactions as one statement",
	4:  "No NOTIFY inside a business transaction",
	6:  "A strict JSON decoder of our own",
	10: "A crash point is armed in a table and fires once in all",
	11: "A webhook is a hint: received once, never believed",
	12: "Ask for money before another attempt, and a person last",
	13: "What is past the dedupe window needs a person and a business key",
	14: "Relays share partitions by advisory locks and count each other by one",
	17: "A saga is a consumer with an inbox, and its undo is due before its do",
}

// Option is one answer that a prediction can choose.
type Option struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Record is a decision record that a text links to.
type Record struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
}

// The headings of a lesson, in their order. A text has all of them.
var headings = []string{"Predict", "Run", "Watch", "Check", "Why", "Unguaranteed", "Speaker notes"}

// promise begins the sentence with which every lesson ends.
const promise = "What remains unguaranteed:"

func readText(slug string) (*Text, error) {
	raw, err := texts.ReadFile("text/" + slug + ".md")
	if err != nil {
		return nil, fmt.Errorf("the text of lesson %s: %w", slug, err)
	}
	t, err := parseText(string(raw))
	if err != nil {
		return nil, fmt.Errorf("text/%s.md: %w", slug, err)
	}
	t.Box = boxes[slug]
	t.mixOptions(slug)
	return t, nil
}

// mixOptions gives the options an order that says nothing of the truth: an author
// writes it first. The order is a lesson's own and always the same, so that two
// people in a room speak of the same letter.
func (t *Text) mixOptions(slug string) {
	place := func(o Option) uint32 {
		h := fnv.New32a()
		h.Write([]byte(slug + "/" + o.ID))
		return h.Sum32()
	}
	slices.SortFunc(t.Options, func(a, b Option) int { return cmp.Compare(place(a), place(b)) })
}

func parseText(raw string) (*Text, error) {
	front, body, err := frontMatter(raw)
	if err != nil {
		return nil, err
	}
	t := &Text{Title: front["title"], Summary: front["summary"], Truth: front["truth"], sections: map[string]string{}}
	if t.Minutes, err = strconv.Atoi(front["minutes"]); err != nil || t.Title == "" || t.Summary == "" {
		return nil, fmt.Errorf("it begins with title, summary and minutes: %v", front)
	}
	order := t.cut(body)
	if strings.Join(order, "|") != strings.Join(headings, "|") {
		return nil, fmt.Errorf("its headings are %q, not %q", order, headings)
	}
	if err := t.readPrediction(); err != nil {
		return nil, err
	}
	t.Unguaranteed = strings.Join(strings.Fields(t.sections["Unguaranteed"]), " ")
	if !strings.HasPrefix(t.Unguaranteed, promise) || strings.Count(t.Unguaranteed, ". ") > 0 {
		return nil, fmt.Errorf("under Unguaranteed stands one sentence that begins with %q", promise)
	}
	t.Code, t.Records = linksOf(body)
	return t, nil
}

// frontMatter reads the lines between two lines of dashes: name, colon, value.
func frontMatter(raw string) (front map[string]string, body string, err error) {
	head, body, found := strings.Cut(strings.TrimPrefix(raw, "---\n"), "\n---\n")
	if !found || !strings.HasPrefix(raw, "---\n") {
		return nil, "", fmt.Errorf("it does not begin with front matter between two lines of dashes")
	}
	front = map[string]string{}
	for line := range strings.Lines(head) {
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, "", fmt.Errorf("the front matter has a line without a colon: %q", line)
		}
		front[name] = strings.TrimSpace(value)
	}
	return front, body, nil
}

// cut fills the sections and returns their headings as they came.
func (t *Text) cut(body string) (order []string) {
	for _, part := range strings.Split("\n"+body, "\n## ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		order = append(order, strings.TrimSpace(heading))
		t.sections[strings.TrimSpace(heading)] = strings.TrimSpace(text)
	}
	return order
}

var optionLine = regexp.MustCompile("(?m)^- `([a-z0-9-]+)` (.+(?:\n  .+)*)$")

func (t *Text) readPrediction() error {
	text := t.sections["Predict"]
	found := optionLine.FindAllStringSubmatchIndex(text, -1)
	if len(found) < 2 || len(found) > 4 {
		return fmt.Errorf("a prediction has two to four options, this one %d", len(found))
	}
	t.Question = strings.Join(strings.Fields(text[:found[0][0]]), " ")
	known := false
	for _, at := range found {
		o := Option{ID: text[at[2]:at[3]], Text: strings.Join(strings.Fields(text[at[4]:at[5]]), " ")}
		known = known || o.ID == t.Truth
		t.Options = append(t.Options, o)
	}
	if !known || t.Question == "" {
		return fmt.Errorf("the truth %q is none of the options, or there is no question", t.Truth)
	}
	return nil
}

// Offers says whether an option of the prediction has this id.
func (t *Text) Offers(option string) bool {
	for _, o := range t.Options {
		if o.ID == option {
			return true
		}
	}
	return false
}

var (
	markdownLink = regexp.MustCompile(`\[([^\]]+)\]\(((?:\.\./)+([^)\s]+))\)`)
	recordFile   = regexp.MustCompile(`^docs/adr/(\d{4})-`)
	codeName     = regexp.MustCompile("^`(?:[a-z]\\w*\\.)?([A-Za-z]\\w*(?:\\.[A-Za-z]\\w*)?)`$")
)

// linksOf lists the code and the records that a text links to, each once. A link
// to code has the name of a declaration as its text, so that a rename is found.
func linksOf(body string) (code []Code, records []Record) {
	seen := map[string]bool{}
	for _, match := range markdownLink.FindAllStringSubmatch(body, -1) {
		text, target := match[1], match[3]
		what := target
		if name := codeName.FindStringSubmatch(text); name != nil && strings.HasSuffix(target, ".go") {
			if what += " " + name[1]; !seen[what] {
				code = append(code, Code{Label: path.Base(path.Dir(target)) + "." + name[1], File: target, Function: name[1]})
			}
		} else if number := recordFile.FindStringSubmatch(target); number != nil && !seen[what] {
			n, _ := strconv.Atoi(number[1]) // four digits
			records = append(records, Record{Number: n, Title: recordTitles[n]})
		}
		seen[what] = true
	}
	return code, records
}
