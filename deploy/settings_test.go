package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"payonce/internal/platform/config"
)

// root is the repository, seen from this folder.
const root = ".."

// A setting is one field of a configuration struct: kong makes the flag, the
// variable and the help from these tags, so they are the truth about it.
type setting struct {
	env, fallback, enum string
	required            bool
}

// processes are the binaries that read PAYONCE_ variables.
var processes = []string{"api", "relay", "worker", "simulator"}

// settings lists what a process can be told, by variable.
func settings(t *testing.T, process string) map[string]setting {
	t.Helper()
	found := map[string]setting{}
	switch process {
	case "api":
		collect(found, reflect.TypeFor[config.API]())
	case "relay":
		collect(found, reflect.TypeFor[config.Relay]())
	case "worker":
		collect(found, reflect.TypeFor[config.Worker]())
	default:
		// Its struct lives in package main, where nobody can import it.
		parseTags(t, found, filepath.Join(root, "cmd", process))
	}
	if len(found) == 0 {
		t.Fatalf("the configuration of %s was not found", process)
	}
	return found
}

func collect(found map[string]setting, of reflect.Type) {
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			collect(found, field.Type)
			continue
		}
		keep(found, field.Tag)
	}
}

func parseTags(t *testing.T, found map[string]setting, dir string) {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatalf("%s: %v", source, err)
			}
			keep(found, reflect.StructTag(tag))
			return true
		})
	}
}

func keep(found map[string]setting, tag reflect.StructTag) {
	env, ok := tag.Lookup("env")
	if !ok {
		return
	}
	_, required := tag.Lookup("required")
	found[env] = setting{env: env, fallback: tag.Get("default"), enum: tag.Get("enum"), required: required}
}

// start reads the configuration as the process would with exactly this
// environment, so that values are judged too and not only names.
func start(t *testing.T, process string, environment map[string]string) error {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "PAYONCE_") {
			unset(t, name)
		}
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
	var into any
	switch process {
	case "api":
		into = &config.API{}
	case "relay":
		into = &config.Relay{}
	case "worker":
		into = &config.Worker{}
	default:
		return nil // names are all that can be compared from here
	}
	return config.Parse(process, "", into, nil, t.Output())
}

// unset removes a variable for this test only; Setenv arranges the return.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// compare holds an environment against the settings of the process that will
// read it, and returns what is wrong with it.
func compare(environment map[string]string, known map[string]setting) []string {
	var wrong []string
	for name := range environment {
		if _, ok := known[name]; strings.HasPrefix(name, "PAYONCE_") && !ok {
			wrong = append(wrong, fmt.Sprintf("%s is no setting of this process", name))
		}
	}
	for name, setting := range known {
		if setting.required && environment[name] == "" {
			wrong = append(wrong, fmt.Sprintf("%s is required and not set", name))
		}
	}
	return wrong
}
