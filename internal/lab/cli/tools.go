package cli

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tool is a program that only a developer needs.
type tool struct {
	name     string
	commands []string // the first that is found
	argument string
	// oldest is the first version that will do, as major and minor.
	oldest [2]int
	remedy string
}

// developing lists what CONTRIBUTING.md asks for.
var developing = []tool{
	{name: "go", commands: []string{"go"}, argument: "version", oldest: [2]int{1, 26}, remedy: "For make demo and for changes: https://go.dev/dl"},
	{name: "node", commands: []string{"node"}, argument: "--version", oldest: [2]int{20, 19}, remedy: "Without it a placeholder is served instead of the page: Node 20.19 or newer, see .nvmrc"},
	{name: "chromium", commands: []string{"chromium", "chromium-browser", "google-chrome"}, argument: "--version", remedy: "Only the browser tests need it: apt install chromium"},
}

// tools looks for them. What is missing is a note: the demo may run all the same.
func tools(ctx context.Context) (found []finding) {
	for _, t := range developing {
		found = append(found, t.look(ctx))
	}
	return found
}

var version = regexp.MustCompile(`(\d+)\.(\d+)[.\w]*`)

func (t tool) look(ctx context.Context) finding {
	name := "for developers: " + t.name
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, command := range t.commands {
		path, err := exec.LookPath(command)
		if err != nil {
			continue
		}
		said, err := exec.CommandContext(ctx, path, t.argument).Output()
		number := version.FindStringSubmatch(string(said))
		if err != nil || number == nil {
			return note(name, fmt.Sprintf("%s does not say its version", path), t.remedy)
		}
		major, _ := strconv.Atoi(number[1]) // digits, says the pattern
		minor, _ := strconv.Atoi(number[2])
		if major < t.oldest[0] || major == t.oldest[0] && minor < t.oldest[1] {
			return note(name, fmt.Sprintf("%s is too old: %d.%d is needed", number[0], t.oldest[0], t.oldest[1]), t.remedy)
		}
		return ok(name, number[0])
	}
	return note(name, "not found: "+strings.Join(t.commands, ", "), t.remedy)
}
