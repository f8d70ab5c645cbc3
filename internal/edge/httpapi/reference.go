package httpapi

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"payonce/api"
	"payonce/internal/edge/wire"
)

//go:embed reference
var referenceFiles embed.FS

var referencePages = template.Must(template.ParseFS(referenceFiles, "reference/*.html"))

// mountReference serves the contract as it is, the contract for people, and a
// page for each kind of problem. All of it is rendered once, here.
func (s *server) mountReference(e *gin.Engine) {
	static := func(route, media string, content []byte) {
		e.GET(route, func(c *gin.Context) {
			c.Header("Cache-Control", "no-cache")
			c.Data(http.StatusOK, media, content)
		})
	}
	style, err := referenceFiles.ReadFile("reference/reference.css")
	if err != nil {
		panic("httpapi: an embedded file is missing: " + err.Error())
	}
	static("/openapi.yaml", "application/yaml", api.OpenAPI)
	if s.Lab != nil {
		static("/lab.yaml", "application/yaml", api.Lab)
	}
	static("/docs", "text/html; charset=utf-8", rendered("docs.html", s.contract.forPeople()))
	static("/docs/reference.css", "text/css; charset=utf-8", style)
	static("/problems", "text/html; charset=utf-8", rendered("problems.html", wire.Kinds))
	for _, kind := range wire.Kinds {
		static(kind.Type(), "text/html; charset=utf-8", rendered("problem.html", kind))
	}
}

func rendered(page string, data any) []byte {
	var b bytes.Buffer
	if err := referencePages.ExecuteTemplate(&b, page, data); err != nil {
		panic("httpapi: " + page + ": " + err.Error())
	}
	return b.Bytes()
}

// reference is the contract as the page shows it.
type reference struct {
	Title, Version string
	About          []block
	Groups         []group
	Shapes         []shape
}

type group struct {
	Name, About string
	Calls       []call
}

type call struct {
	ID, Method, Path, Summary string
	About                     []block
	Parameters                []field
	Body                      string
	Answers                   []result
}

type result struct{ Status, About, Shape string }

type shape struct {
	Name, About, Form string
	Fields            []field
}

type field struct {
	Name, Place, Form, About string
	Required                 bool
}

// forPeople lists the calls by the contract's own groups.
func (c *contract) forPeople() reference {
	r := reference{Title: c.doc.Info.Title, Version: c.doc.Info.Version, About: blocks(c.doc.Info.Description)}
	for _, tag := range c.doc.Tags {
		g := group{Name: tag.Name, About: tag.Description}
		for _, op := range c.operations {
			if slices.Contains(op.route.Operation.Tags, tag.Name) {
				g.Calls = append(g.Calls, describeCall(op))
			}
		}
		slices.SortFunc(g.Calls, func(a, b call) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(b.Method, a.Method)) })
		r.Groups = append(r.Groups, g)
	}
	for _, name := range slices.Sorted(maps.Keys(c.doc.Components.Schemas)) {
		r.Shapes = append(r.Shapes, describeShape(name, c.doc.Components.Schemas[name].Value))
	}
	return r
}

func describeCall(op *operation) call {
	d := op.route.Operation
	v := call{ID: d.OperationID, Method: op.route.Method, Path: op.route.Path, Summary: d.Summary, About: blocks(d.Description)}
	for _, p := range d.Parameters {
		v.Parameters = append(v.Parameters, field{Name: p.Value.Name, Place: p.Value.In, Form: form(p.Value.Schema), About: p.Value.Description, Required: p.Value.Required})
	}
	if d.RequestBody != nil {
		v.Body = shapeOf(d.RequestBody.Value.Content)
	}
	for status, response := range d.Responses.Map() {
		v.Answers = append(v.Answers, result{Status: status, About: *response.Value.Description, Shape: shapeOf(response.Value.Content)})
	}
	slices.SortFunc(v.Answers, func(a, b result) int { return cmp.Compare(a.Status, b.Status) })
	return v
}

func shapeOf(content openapi3.Content) string {
	for _, media := range content {
		if media.Schema != nil {
			return form(media.Schema)
		}
	}
	return ""
}

func describeShape(name string, s *openapi3.Schema) shape {
	v := shape{Name: name, About: s.Description, Form: form(&openapi3.SchemaRef{Value: s})}
	for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[property]
		v.Fields = append(v.Fields, field{Name: property, Form: form(p), About: p.Value.Description, Required: slices.Contains(s.Required, property)})
	}
	return v
}

// form says in a few words what a value looks like.
func form(ref *openapi3.SchemaRef) string {
	if ref == nil || ref.Value == nil {
		return ""
	}
	if name, named := strings.CutPrefix(ref.Ref, "#/components/schemas/"); named {
		return name
	}
	s := ref.Value
	text := strings.Join(s.Type.Slice(), " or ")
	switch {
	case s.Items != nil:
		text = "list of " + form(s.Items)
	case len(s.Enum) > 0:
		values := make([]string, 0, len(s.Enum))
		for _, value := range s.Enum {
			if word, ok := value.(string); ok {
				values = append(values, word)
			}
		}
		text = strings.Join(values, " · ")
	case s.Format != "":
		text += " (" + s.Format + ")"
	}
	if s.Nullable {
		text += " or null"
	}
	return text
}

// block is a paragraph or a table of a description. The contract's descriptions
// use nothing else of Markdown but emphasis and code, which read well as typed.
type block struct {
	Text string
	Head []string
	Rows [][]string
}

func blocks(markdown string) []block {
	var list []block
	for part := range strings.SplitSeq(strings.TrimSpace(markdown), "\n\n") {
		switch {
		case part == "":
		case strings.HasPrefix(part, "|"):
			list = append(list, table(part))
		default:
			list = append(list, block{Text: strings.Join(strings.Fields(part), " ")})
		}
	}
	return list
}

func table(markdown string) block {
	var b block
	for i, line := range strings.Split(markdown, "\n") {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		switch i {
		case 0:
			b.Head = cells
		case 1: // the line between head and rows
		default:
			b.Rows = append(b.Rows, cells)
		}
	}
	return b
}
