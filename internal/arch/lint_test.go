package arch

import (
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"
)

// depguard is the part of .golangci.yml that repeats these rules.
type depguard struct {
	Linters struct {
		Settings struct {
			Depguard struct {
				Rules map[string]struct {
					Files []string `yaml:"files"`
					Deny  []struct {
						Pkg string `yaml:"pkg"`
					} `yaml:"deny"`
				} `yaml:"rules"`
			} `yaml:"depguard"`
		} `yaml:"settings"`
	} `yaml:"linters"`
}

func (d depguard) denies(from, to string) bool {
	for _, rule := range d.Linters.Settings.Depguard.Rules {
		if !slices.Contains(rule.Files, "**/"+from+"/**") {
			continue
		}
		for _, denied := range rule.Deny {
			if denied.Pkg == module+"/"+to {
				return true
			}
		}
	}
	return false
}

// A new pattern or a new part of the shop is known to the editor on the day it
// is added.
func TestTheLinterRefusesEverySiblingThatTheHouseRefuses(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config depguard
	if err := yaml.Unmarshal(src, &config); err != nil {
		t.Fatal(err)
	}
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]floor{}
	for _, file := range tree.goFiles() {
		if folder, ok := patternOf(file.Dir()); ok {
			units[folder] = library
		}
		if where := floorOf(file.Dir()); where == shop {
			units["internal/"+string(where)+"/"+unitOf(file.Dir())] = where
		}
	}
	for from, where := range units {
		for to, alsoOn := range units {
			if where == alsoOn && !siblings(where, from, to) && !config.denies(from, to) {
				t.Errorf(".golangci.yml: depguard lets %s import %s", from, to)
			}
		}
	}
}
