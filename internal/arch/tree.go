package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the path of the root's module; the others' paths are their folders' below it.
const module = "payonce"

// A Tree is the source of the repository: every Go file of every build tag and
// module, each go.mod and their list, the migrations, and the SQL that lies beside
// the patterns. It is a value; With returns another one.
type Tree map[string]*File

// A File is one source file. AST and fset are nil where it is not Go.
type File struct {
	Path string // slash-separated, from the root of the repository
	Src  string
	AST  *ast.File
	fset *token.FileSet

	imports                          []imported
	identifiers, selectors, literals []word
	qualified                        []word // selectors of one name, as in http.Client, with it
}

// Load reads the tree below fsys, but for what is not source of ours.
func Load(fsys fs.FS) (Tree, error) {
	tree := Tree{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if foreign(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !readable(name) {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		return tree.add(name, string(src))
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	return tree, nil
}

// With returns the tree as it would be with one more file, or with another
// text in its place. The receiver is unchanged, so that tests can plant
// violations side by side.
func (t Tree) With(name, src string) (Tree, error) {
	planted := maps.Clone(t)
	if err := planted.add(name, src); err != nil {
		return nil, err
	}
	return planted, nil
}

// Without returns the tree as it would be had the file never been written.
func (t Tree) Without(name string) Tree {
	cut := maps.Clone(t)
	delete(cut, name)
	return cut
}

func (t Tree) add(name, src string) error {
	file := &File{Path: name, Src: src}
	if strings.HasSuffix(name, ".go") {
		file.fset = token.NewFileSet()
		parsed, err := parser.ParseFile(file.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		file.AST = parsed
		file.survey()
	}
	t[name] = file
	return nil
}

// goFiles lists the Go files in the order of their paths, so that two runs
// report in the same order.
func (t Tree) goFiles() []*File {
	var files []*File
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if t[name].AST != nil {
			files = append(files, t[name])
		}
	}
	return files
}

// Dir is the folder of the file, which is its package's path in the module.
func (f *File) Dir() string { return path.Dir(f.Path) }

// IsTest says whether the file is compiled into tests only.
func (f *File) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// IsSuite says whether the file belongs to a package of test helpers: one whose
// name ends in "test", like inboxtest or the standard library's fstest.
func (f *File) IsSuite() bool { return isSuite(f.Dir()) }

func isSuite(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }

// survey walks the file once and keeps what the rules ask for, because a tree is
// judged again for every planted violation.
func (f *File) survey() {
	for _, spec := range f.AST.Imports {
		each := imported{path: unquote(spec.Path.Value), line: f.line(spec.Pos())}
		if spec.Name != nil {
			each.as = spec.Name.Name
		}
		f.imports = append(f.imports, each)
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			f.selectors = append(f.selectors, word{text: n.Sel.Name, line: f.line(n.Pos())})
			if of, named := n.X.(*ast.Ident); named {
				f.qualified = append(f.qualified, word{text: of.Name + "." + n.Sel.Name, line: f.line(n.Pos())})
			}
		case *ast.Ident:
			f.identifiers = append(f.identifiers, word{text: n.Name, line: f.line(n.Pos())})
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				f.literals = append(f.literals, word{text: unquote(n.Value), line: f.line(n.Pos())})
			}
		}
		return true
	})
}

// unquote cannot fail on what the parser accepted.
func unquote(literal string) string {
	text, err := strconv.Unquote(literal)
	if err != nil {
		panic(err)
	}
	return text
}

func (f *File) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// A word is an identifier, a selector or a string literal, and where it stands.
type word struct {
	text string
	line int
}

type imported struct {
	path string
	as   string // the name given to it here; "" is its own
	line int
}

// ours returns the folder an import path names inside this repository.
func (i imported) ours() (dir string, ok bool) {
	return strings.CutPrefix(i.path, module+"/")
}

func foreign(dir string) bool {
	base := path.Base(dir)
	return strings.HasPrefix(base, ".") && dir != "." || base == "node_modules" || base == "testdata"
}

func readable(name string) bool {
	return strings.HasSuffix(name, ".go") || path.Base(name) == "go.mod" || name == moduleList ||
		strings.HasSuffix(name, ".sql") && (strings.HasPrefix(name, onceSchema+"/") || strings.HasPrefix(name, "migrations/"))
}
