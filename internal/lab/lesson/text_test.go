package lesson

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The order is the design's: each builds on the ones before.
var sixteen = []string{
	"double-click", "two-tabs", "other-amount", "lost-answer", "timeout-after-charge", "killed-after-charge", "dual-write", "relay-killed",
	"worker-killed", "email", "webhooks", "poison", "refund-refused", "refund-forward", "ordering", "retention",
}

func TestThereAreSixteenLessonsInTheirOrderEachWithItsText(t *testing.T) {
	t.Parallel()
	all, err := All()
	require.NoError(t, err)
	var slugs []string
	for i, l := range all {
		slugs = append(slugs, l.Slug)
		require.Equal(t, i+1, l.Number)
		require.NotNil(t, l.Play, l.Slug)
	}
	require.Equal(t, sixteen, slugs)
	files, err := fs.Glob(texts, "text/*.md")
	require.NoError(t, err)
	require.Len(t, files, len(sixteen)+1, "a text without a lesson is read by nobody")
}

// A visitor who always says A is right no more often than by chance: 16 lessons, mostly of 3 options.
func TestTheTruthStandsAtEachOfThreePlacesAndAtNoneInMoreThanHalfOfTheLessons(t *testing.T) {
	t.Parallel()
	all, err := All()
	require.NoError(t, err)
	again, err := All()
	require.NoError(t, err)
	at := map[int]int{}
	for i, l := range all {
		require.Equal(t, l.Text.Options, again[i].Text.Options, "%s: its order is always the same", l.Slug)
		at[slices.IndexFunc(l.Text.Options, func(o Option) bool { return o.ID == l.Text.Truth })]++
	}
	for place := range 3 {
		require.GreaterOrEqual(t, at[place], len(all)/5, "place %d: %v", place, at)
		require.LessOrEqual(t, at[place], len(all)/2, "place %d: %v", place, at)
	}
}

func TestEveryTextHasSomethingToSayUnderEachHeadingAndLinksCodeAndARecord(t *testing.T) {
	t.Parallel()
	all, err := All()
	require.NoError(t, err)
	records := map[int]bool{}
	for _, l := range all {
		for _, heading := range headings {
			html, err := l.Text.HTML(heading)
			require.NoError(t, err)
			require.Greater(t, len(html), 60, "%s, %s", l.Slug, heading)
		}
		require.GreaterOrEqual(t, len(l.Text.Code), 2, l.Slug)
		for _, r := range l.Text.Records {
			records[r.Number] = true
		}
		for _, word := range []string{"**0:00**", "to the room:", "goes wrong:", "Recover:"} {
			require.Contains(t, l.Text.sections["Speaker notes"], word, l.Slug)
		}
	}
	for number := range recordTitles {
		require.True(t, records[number], "no lesson links record %d; take its title away", number)
	}
}

func TestEachLinkToCodeFindsItsDeclarationAndARenameOrAMoveBreaksIt(t *testing.T) {
	t.Parallel()
	root := Root()
	links := 0
	for slug, text := range everyText(t) {
		for _, c := range text.Code {
			links++
			found, err := c.Find(root)
			require.NoError(t, err, slug)
			require.Positive(t, found.Line, "%s: %s", slug, c.Label)
			renamed, moved := c, c
			renamed.Function += "Renamed"
			moved.File = filepath.Dir(c.File) + "/moved.go"
			_, err = renamed.Find(root)
			require.ErrorContains(t, err, "declares no", slug)
			_, err = moved.Find(root)
			require.Error(t, err, slug)
		}
	}
	require.Greater(t, links, 40)
}

func TestALinkGoesToTheLineOnWhichItsDeclarationBegins(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]string{"Root": "func Root() string {", "Code": "type Code struct {", "Find": "func (c Code) Find(", "Code.Find": "func (c Code) Find("} {
		found, err := Code{File: "internal/lab/lesson/code.go", Function: name}.Find(Root())
		require.NoError(t, err)
		source, err := os.ReadFile(filepath.Join(Root(), "internal", "lab", "lesson", "code.go"))
		require.NoError(t, err)
		require.Contains(t, strings.Split(string(source), "\n")[found.Line-1], begins)
	}
}

func TestTheTitlesOfRecordsAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for number, title := range recordTitles {
		files, err := filepath.Glob(filepath.Join(Root(), "docs", "adr", fmt.Sprintf("%04d-*.md", number)))
		require.NoError(t, err)
		require.Len(t, files, 1)
		raw, err := os.ReadFile(files[0])
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(raw), fmt.Sprintf("# %d. %s\n", number, title)), "record %d is not called %q", number, title)
	}
}

var anchor = regexp.MustCompile(`href="([^"]*)"`)

func TestInHTMLLinksIntoTheRepositoryAreAnchorsOfTheListsAndNothingRawGetsThrough(t *testing.T) {
	t.Parallel()
	for slug, text := range everyText(t) {
		known := []string{}
		for i := range text.Code {
			known = append(known, fmt.Sprintf("#code-%d", i+1))
		}
		for _, r := range text.Records {
			require.NotEmpty(t, r.Title, "%s links record %d", slug, r.Number)
			known = append(known, fmt.Sprintf("#adr-%d", r.Number))
		}
		for _, section := range text.sections {
			html, err := text.render(section)
			require.NoError(t, err)
			for _, link := range anchor.FindAllStringSubmatch(html, -1) {
				require.Contains(t, known, link[1], slug)
			}
			require.NotContains(t, html, "](", slug)
		}
	}
	html, err := (&Text{}).render("a <script>alert(1)</script> [link](../../docs/ordering.md) and <b>bold</b>\n\n<div>block</div>\n")
	require.NoError(t, err)
	for _, raw := range []string{"<script", "<b>", "<div", "href"} {
		require.NotContains(t, html, raw)
	}
	require.Contains(t, html, "link")
}

// everyText is the lessons' texts and the closing page, whose questions stand as
// sections.
func everyText(t *testing.T) map[string]*Text {
	t.Helper()
	found := map[string]*Text{}
	all, err := All()
	require.NoError(t, err)
	for _, l := range all {
		found[l.Slug] = l.Text
	}
	e, err := readExplanation()
	require.NoError(t, err)
	e.text.sections = map[string]string{"": e.intro}
	for _, q := range e.questions {
		e.text.sections[q.question] = q.answer
	}
	found["explain-it-back"] = e.text
	return found
}

func TestTheClosingPageAsksAboutEveryLesson(t *testing.T) {
	t.Parallel()
	e, err := readExplanation()
	require.NoError(t, err)
	var about []string
	for _, q := range e.questions {
		about = append(about, q.lesson)
		require.True(t, strings.HasSuffix(q.question, "?"), q.question)
	}
	slices.Sort(about)
	require.Equal(t, slices.Sorted(slices.Values(sixteen)), about)
}

func TestATextThatIsIncompleteIsRefusedWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	raw, err := texts.ReadFile("text/double-click.md")
	require.NoError(t, err)
	good := string(raw)
	_, err = parseText(good)
	require.NoError(t, err)
	for _, broken := range []struct{ old, new, says string }{
		{"---\ntitle", "title", "front matter"},
		{"minutes: 4", "minutes: four", "minutes"},
		{"## Watch\n", "## Look\n", "headings"},
		{"truth: same", "truth: maybe", "none of the options"},
		{"- `refused` One gets 200, the other 409, because the key is in use; there is one charge.\n", "", ""},
		{promise, "Nothing remains:", promise},
	} {
		_, err := parseText(strings.Replace(good, broken.old, broken.new, 1))
		if broken.says == "" {
			require.NoError(t, err, "two options are enough")
			continue
		}
		require.ErrorContains(t, err, broken.says)
	}
}
