package lesson

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// HTML renders one section. Raw HTML in a text is left out: goldmark does not
// pass it on unless told to.
func (t *Text) HTML(heading string) (string, error) { return t.render(t.sections[heading]) }

func (t *Text) render(markdown string) (string, error) {
	m := goldmark.New(goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(relink{t}, 100))))
	var out bytes.Buffer
	if err := m.Convert([]byte(markdown), &out); err != nil {
		return "", fmt.Errorf("render a lesson: %w", err)
	}
	return out.String(), nil
}

// relink turns links into the repository, which lead nowhere in a browser, into
// anchors of the lists that are sent along: #code-N and #adr-N. Other places of
// the repository keep their words and lose the link.
type relink struct{ text *Text }

// Transform implements goldmark's ASTTransformer.
func (r relink) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	var links []*ast.Link
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if link, ok := n.(*ast.Link); ok && entering && strings.HasPrefix(string(link.Destination), "../") {
			links = append(links, link)
		}
		return ast.WalkContinue, nil
	})
	for _, link := range links {
		if anchor := r.anchor(string(link.Destination), plain(link, reader.Source())); anchor != "" {
			link.Destination = []byte(anchor)
			continue
		}
		for link.FirstChild() != nil {
			link.Parent().InsertBefore(link.Parent(), link, link.FirstChild())
		}
		link.Parent().RemoveChild(link.Parent(), link)
	}
}

func (r relink) anchor(destination, words string) string {
	target := strings.TrimLeft(destination, "./")
	if number := recordFile.FindStringSubmatch(target); number != nil {
		return "#adr-" + strings.TrimLeft(number[1], "0")
	}
	for i, c := range r.text.Code {
		if c.File == target && strings.HasSuffix("."+words, "."+c.Function) {
			return fmt.Sprintf("#code-%d", i+1)
		}
	}
	return ""
}

// plain is a node's words without their markup.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if words, ok := c.(*ast.Text); ok {
			b.Write(words.Segment.Value(source))
			continue
		}
		b.WriteString(plain(c, source))
	}
	return b.String()
}
