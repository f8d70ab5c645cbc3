package lesson

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"runtime"
)

// Code is a place in the source that a text speaks of.
type Code struct {
	Label    string `json:"label"`
	File     string `json:"file"`
	Function string `json:"function"`
	// Line is 0 until it was looked up, and where there is no source.
	Line int `json:"line"`
}

// Root is the repository that this program was built from; it need not be there.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Find returns the place with its line. It fails when the file cannot be read or
// declares no such name: a method may be called by its own name alone.
func (c Code) Find(root string) (Code, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root, filepath.FromSlash(c.File)), nil, parser.SkipObjectResolution)
	if err != nil {
		return c, fmt.Errorf("the source of %s: %w", c.Label, err)
	}
	for _, decl := range file.Decls {
		for name, at := range names(decl) {
			if name == c.Function || methodOf(name) == c.Function {
				c.Line = files.Position(at).Line
				return c, nil
			}
		}
	}
	return c, fmt.Errorf("%s declares no %s", c.File, c.Function)
}

// names are what a declaration declares, methods as Type.Name.
func names(decl ast.Decl) map[string]token.Pos {
	found := map[string]token.Pos{}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		name := decl.Name.Name
		if of := receiver(decl); of != "" {
			name = of + "." + name
		}
		found[name] = decl.Pos()
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				found[spec.Name.Name] = spec.Pos()
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					found[name.Name] = name.Pos()
				}
			}
		}
	}
	return found
}

func receiver(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return ""
	}
	of := decl.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

func methodOf(name string) string {
	ext := filepath.Ext(name)
	if ext == "" {
		return ""
	}
	return ext[1:]
}
