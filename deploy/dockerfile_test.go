package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A stage is one FROM of the Dockerfile with what follows it.
type stage struct {
	name, from   string
	instructions [][2]string // keyword in capitals, rest of the line
}

// readDockerfile understands as much of the format as ours uses: comments,
// continued lines, one instruction a line.
func readDockerfile(t *testing.T) []stage {
	t.Helper()
	src, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var stages []stage
	for line := range strings.Lines(strings.ReplaceAll(string(src), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		keyword, rest, _ := strings.Cut(line, " ")
		if keyword = strings.ToUpper(keyword); keyword == "FROM" {
			image, name, _ := strings.Cut(rest, " AS ")
			stages = append(stages, stage{name: name, from: image})
			continue
		}
		if len(stages) == 0 {
			t.Fatalf("%s stands before the first FROM", keyword)
		}
		last := &stages[len(stages)-1]
		last.instructions = append(last.instructions, [2]string{keyword, strings.TrimSpace(rest)})
	}
	return stages
}

// target returns the instructions of a stage with those it inherits first.
func target(stages []stage, name string) (found [][2]string, ok bool) {
	i := slices.IndexFunc(stages, func(s stage) bool { return s.name == name })
	if i < 0 {
		return nil, false
	}
	inherited, _ := target(stages[:i], stages[i].from)
	return append(slices.Clone(inherited), stages[i].instructions...), true
}

// last returns the value an instruction has at the end of a stage: later ones
// replace earlier ones.
func last(instructions [][2]string, keyword string) string {
	value := ""
	for _, each := range instructions {
		if each[0] == keyword {
			value = each[1]
		}
	}
	return value
}

// environment collects the ENV instructions.
func environment(instructions [][2]string) map[string]string {
	vars := map[string]string{}
	for _, each := range instructions {
		if each[0] != "ENV" {
			continue
		}
		for _, pair := range strings.Fields(each[1]) {
			name, value, _ := strings.Cut(pair, "=")
			vars[name] = value
		}
	}
	return vars
}

// pinned is an image whose tag names a full version, or a digest: what is
// built tomorrow is what was built today.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+(:\d+\.\d+(\.\d+)?(-[a-z0-9]+)*|@sha256:[0-9a-f]{64})$`)

func TestEveryBaseImageIsPinned(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	for i, each := range stages {
		if _, ours := target(stages[:i], each.from); !ours && !pinned.MatchString(each.from) {
			t.Errorf("stage %q is built from %q, which is not pinned to a version", each.name, each.from)
		}
	}
}

func TestWhatCountsAsPinned(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]bool{
		"postgres:15.14-bookworm": true, "rabbitmq:3.13.7": true,
		"debian@sha256:" + strings.Repeat("a", 64): true,
		"debian": false, "debian:latest": false, "node:20": false, "golang:bookworm": false, "node:lts-slim": false,
	} {
		if got := pinned.MatchString(image); got != want {
			t.Errorf("%s counts as pinned: %v, want %v", image, got, want)
		}
	}
}

func TestTheImagesAreBuiltWithTheVersionsTheRepositoryNames(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	gomod := read(t, "go.mod")
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(gomod)
	if version == nil {
		t.Fatal("go.mod names no Go version")
	}
	if from := byName(t, stages, "build").from; !strings.HasPrefix(from, "golang:"+version[1]+"-") {
		t.Errorf("the binaries are built by %s, go.mod says %s", from, version[1])
	}
	node := strings.TrimSpace(read(t, ".nvmrc"))
	if from := byName(t, stages, "page").from; !strings.HasPrefix(from, "node:"+node+".") {
		t.Errorf("the page is built by %s, .nvmrc says %s", from, node)
	}
}

func TestEveryProcessRunsAsNobodyAndSaysWhetherItIsHealthy(t *testing.T) {
	t.Parallel()
	for _, process := range processes {
		t.Run(process, func(t *testing.T) {
			t.Parallel()
			image, ok := target(readDockerfile(t), process)
			if !ok {
				t.Fatalf("the Dockerfile has no stage %q", process)
			}
			if user := last(image, "USER"); !regexp.MustCompile(`^[1-9]\d{3,}(:[1-9]\d*)?$`).MatchString(user) {
				t.Errorf("USER is %q, want the number of somebody unprivileged", user)
			}
			port := listening(t, environment(image), process)
			if check := last(image, "HEALTHCHECK"); !strings.Contains(check, `"healthcheck", "`+port+`"`) {
				t.Errorf("HEALTHCHECK %q does not ask port %s, where the process listens", check, port)
			}
			if exposed := strings.Fields(last(image, "EXPOSE")); !slices.Contains(exposed, port) {
				t.Errorf("EXPOSE lists %v without %s", exposed, port)
			}
			if entry := last(image, "ENTRYPOINT"); entry != `["/usr/local/bin/`+process+`"]` {
				t.Errorf("ENTRYPOINT is %s", entry)
			}
			known := settings(t, process)
			for name := range environment(image) {
				if _, ok := known[name]; strings.HasPrefix(name, "PAYONCE_") && !ok {
					t.Errorf("ENV sets %s, which is no setting of %s", name, process)
				}
			}
		})
	}
}

func TestAnImageBuiltWithoutArgumentsHoldsNoLaboratory(t *testing.T) {
	t.Parallel()
	build := byName(t, readDockerfile(t), "build").instructions
	if tags := last(build, "ARG"); tags != `TAGS=""` {
		t.Errorf("the build takes ARG %s, want TAGS empty unless somebody asks", tags)
	}
	command := last(build, "RUN")
	if !strings.Contains(command, `-tags "${TAGS}"`) || strings.Contains(command, "simulator") {
		t.Errorf("the shop's binaries are built by %q", command)
	}
}

// listening is the port on which a process can be asked for its health.
func listening(t *testing.T, vars map[string]string, process string) string {
	t.Helper()
	variable := map[string]string{
		"api": "PAYONCE_LISTEN", "relay": "PAYONCE_ADMIN_LISTEN", "worker": "PAYONCE_ADMIN_LISTEN",
		"simulator": "PAYONCE_SIMULATOR_LISTEN",
	}[process]
	_, port, found := strings.Cut(vars[variable], ":")
	if !found {
		t.Fatalf("%s is %q, want host:port", variable, vars[variable])
	}
	return port
}

func byName(t *testing.T, stages []stage, name string) stage {
	t.Helper()
	i := slices.IndexFunc(stages, func(s stage) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("the Dockerfile has no stage %q", name)
	}
	return stages[i]
}

func read(t *testing.T, name string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}
