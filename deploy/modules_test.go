package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"payonce/internal/arch"
)

var beside = regexp.MustCompile(`(?m)^(?:replace|\s)[^\n]* => \./(\S+)$`)

// notCopied lists the modules beside the root's that it needs and whose go.mod the
// image does not hold when modules are downloaded.
func notCopied(gomod string, stages []stage) []string {
	var missing []string
	for _, match := range beside.FindAllStringSubmatch(gomod, -1) {
		copied := false
		for _, s := range stages {
			for _, each := range s.instructions {
				if each == [2]string{"RUN", "go mod download"} {
					break
				}
				copied = copied || each[0] == "COPY" && slices.Contains(strings.Fields(each[1]), match[1]+"/go.mod")
			}
		}
		if !copied {
			missing = append(missing, match[1])
		}
	}
	return missing
}

func TestTheImagesHoldEachModuleThatTheRootNeedsBeforeTheyDownloadTheOthers(t *testing.T) {
	t.Parallel()
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if missing := notCopied(string(gomod), readDockerfile(t)); len(missing) > 0 {
		t.Errorf("go.mod replaces modules that the Dockerfile does not copy before go mod download: %v", missing)
	}
	planted := string(gomod) + "\nreplace payonce/river => ./river\n"
	if missing := notCopied(planted, readDockerfile(t)); !slices.Equal(missing, []string{"river"}) {
		t.Errorf("a module that is not copied is not found: %v", missing)
	}
}

func TestUpdatesAreLookedForInEachModule(t *testing.T) {
	t.Parallel()
	tree, err := arch.Load(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	bot, err := os.ReadFile("../.github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range tree.Modules() {
		if !strings.Contains(string(bot), "directory: "+filepath.Join("/", module)+",") {
			t.Errorf(".github/dependabot.yml does not look into %s", module)
		}
	}
}
