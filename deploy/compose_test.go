package deploy_test

import (
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Profiles    []string                     `yaml:"profiles"`
	Hostname    string                       `yaml:"hostname"`
	Networks    map[string]network           `yaml:"networks"`
	Image       string                       `yaml:"image"`
	Build       *build                       `yaml:"build"`
	Environment map[string]string            `yaml:"environment"`
	DependsOn   map[string]map[string]string `yaml:"depends_on"`
	Ports       []string                     `yaml:"ports"`
	Volumes     []string                     `yaml:"volumes"`
	Healthcheck *health                      `yaml:"healthcheck"`
	Restart     string                       `yaml:"restart"`
	CapDrop     []string                     `yaml:"cap_drop"`
	SecurityOpt []string                     `yaml:"security_opt"`
	ReadOnly    bool                         `yaml:"read_only"`
}

type network struct {
	Aliases []string `yaml:"aliases"`
}

type build struct {
	Context    string            `yaml:"context"`
	Dockerfile string            `yaml:"dockerfile"`
	Target     string            `yaml:"target"`
	Args       map[string]string `yaml:"args"`
}

type health struct {
	Test    []string `yaml:"test"`
	Disable bool     `yaml:"disable"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var file compose
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) == 0 {
		t.Fatal("the compose file has no services")
	}
	return file
}

// named is the service without a profile that a name in the network leads to.
func (c compose) named(name string) string {
	for service, each := range c.Services {
		if len(each.Profiles) == 0 && slices.Contains(each.Networks["default"].Aliases, name) {
			return service
		}
	}
	return name
}

// Parsing an environment changes the process's own, so nothing here runs
// beside it.
func TestEachServiceStartsWithTheVariablesItIsGiven(t *testing.T) {
	file := readCompose(t)
	for _, name := range slices.Sorted(maps.Keys(file.Services)) {
		each := file.Services[name]
		if each.Build == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, wrong := range compare(each.Environment, settings(t, each.Build.Target)) {
				t.Error(wrong)
			}
			if err := start(t, each.Build.Target, each.Environment); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheComparisonFindsAMisspeltAndAMissingVariable(t *testing.T) {
	t.Parallel()
	given := maps.Clone(readCompose(t).Services["worker"].Environment)
	given["PAYONCE_SMTP_ADRESS"] = given["PAYONCE_SMTP_ADDR"]
	delete(given, "PAYONCE_SMTP_ADDR")
	wrong := compare(given, settings(t, "worker"))
	slices.Sort(wrong)
	want := []string{"PAYONCE_SMTP_ADDR is required and not set", "PAYONCE_SMTP_ADRESS is no setting of this process"}
	if !slices.Equal(wrong, want) {
		t.Errorf("found %q, want %q", wrong, want)
	}
}

func TestEveryProcessIsInTheComposeFile(t *testing.T) {
	t.Parallel()
	var built []string
	for _, each := range readCompose(t).Services {
		if each.Build != nil {
			built = append(built, each.Build.Target)
		}
	}
	for _, process := range processes {
		if !slices.Contains(built, process) {
			t.Errorf("no service runs %s", process)
		}
	}
}

func TestImagesArePinnedAndTargetsExist(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	for name, each := range readCompose(t).Services {
		switch {
		case each.Build == nil:
			if !pinned.MatchString(each.Image) {
				t.Errorf("%s runs %q, which is not pinned to a version", name, each.Image)
			}
		case each.Build.Context != "." || each.Build.Dockerfile != "deploy/Dockerfile":
			t.Errorf("%s is built from %s and %s", name, each.Build.Context, each.Build.Dockerfile)
		default:
			if _, ok := target(stages, each.Build.Target); !ok {
				t.Errorf("%s wants the stage %q, which the Dockerfile does not have", name, each.Build.Target)
			}
			if each.Build.Args["TAGS"] != "lab" {
				t.Errorf("%s is no lab build, so the demo's crash points and bursts would be missing", name)
			}
		}
	}
}

func TestPortsAreOpenedOnLoopbackOnlyAndLeadToAListener(t *testing.T) {
	t.Parallel()
	for name, each := range readCompose(t).Services {
		for _, port := range each.Ports {
			parts := strings.Split(port, ":")
			if len(parts) != 3 || parts[0] != "127.0.0.1" {
				t.Errorf("%s publishes %q; a demo with known passwords stays on 127.0.0.1", name, port)
				continue
			}
			if inside := listening(t, each.Environment, each.Build.Target); parts[2] != inside {
				t.Errorf("%s publishes port %s and listens on %s", name, parts[2], inside)
			}
		}
	}
}

// The health check of a built service is the image's; it asks a fixed port.
func TestEveryServiceIsCheckedWhereItListens(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	for name, each := range readCompose(t).Services {
		switch {
		case each.Build == nil:
			if each.Healthcheck == nil || len(each.Healthcheck.Test) < 2 {
				t.Errorf("%s has no health check", name)
			}
		case each.Environment["PAYONCE_MIGRATE"] != "":
			if each.Healthcheck == nil || !each.Healthcheck.Disable {
				t.Errorf("%s ends when it is done; asking for its health makes no sense", name)
			}
		default:
			image, _ := target(stages, each.Build.Target)
			inside, outside := listening(t, environment(image), each.Build.Target), listening(t, each.Environment, each.Build.Target)
			if inside != outside {
				t.Errorf("%s listens on %s, its image is asked on %s", name, outside, inside)
			}
		}
	}
}

// ports are where the services that we do not build listen.
var ports = map[string]string{"postgres": "5432", "rabbitmq": "5672"}

// partners lists the services that a service's addresses name, with the port.
func partners(t *testing.T, environment map[string]string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for name, value := range environment {
		host, port, err := net.SplitHostPort(value)
		if strings.Contains(value, "://") {
			address, parseErr := url.Parse(value)
			if parseErr != nil {
				t.Fatalf("%s: %v", name, parseErr)
			}
			host, port, err = address.Hostname(), address.Port(), nil
		}
		if err != nil || host == "0.0.0.0" || host == "localhost" {
			continue // no address, its own, or the visitor's view of us
		}
		found[host+":"+port] = name
	}
	return found
}

func TestEveryAddressNamesAServiceItsPortAndADependency(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	for name, each := range file.Services {
		for address, variable := range partners(t, each.Environment) {
			host, port, _ := net.SplitHostPort(address)
			host = file.named(host)
			partner, ok := file.Services[host]
			if !ok {
				t.Errorf("%s: %s leads to %q, which is no service", name, variable, host)
				continue
			}
			open := []string{ports[host]}
			for _, value := range partner.Environment {
				if _, p, err := net.SplitHostPort(value); err == nil && strings.HasPrefix(value, "0.0.0.0:") {
					open = append(open, p)
				}
			}
			if !slices.Contains(open, port) {
				t.Errorf("%s: %s leads to port %s of %s, which listens on %v", name, variable, port, host, open)
			}
			// The migration needs the provider's address to parse, not the provider.
			// A webhook whose receiver is not there yet is sent again, and lessons ask
			// the shop when somebody runs one.
			later := []string{"PAYONCE_SIMULATOR_WEBHOOK_URL", "PAYONCE_SIMULATOR_SHOP_URL"}
			needed := each.Environment["PAYONCE_MIGRATE"] == "" && !slices.Contains(later, variable)
			if needed && !waitsFor(file, name, host, nil) {
				t.Errorf("%s talks to %s and does not wait for it", name, host)
			}
		}
	}
}

// waitsFor says whether a service starts after another, directly or through
// others; a circle ends the test as not waiting.
func waitsFor(file compose, name, other string, seen []string) bool {
	if slices.Contains(seen, name) {
		return false
	}
	for dependency := range file.Services[name].DependsOn {
		if dependency == other || waitsFor(file, dependency, other, append(seen, name)) {
			return true
		}
	}
	return false
}

func TestDependenciesExistAndCanBeMet(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	for name, each := range file.Services {
		if waitsFor(file, name, name, nil) {
			t.Errorf("%s waits for itself", name)
		}
		for on, how := range each.DependsOn {
			other, ok := file.Services[on]
			ends := other.Environment["PAYONCE_MIGRATE"] != ""
			switch condition := how["condition"]; {
			case !ok:
				t.Errorf("%s waits for %q, which is no service", name, on)
			case ends && condition != "service_completed_successfully", !ends && condition != "service_healthy":
				t.Errorf("%s waits for %s to be %q, which says nothing about it", name, on, condition)
			case ends && other.Restart != "no":
				t.Errorf("%s would be restarted for ever", on)
			}
		}
	}
}

func TestPasswordsAgreeAcrossServices(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	postgres, rabbit := file.Services["postgres"].Environment, file.Services["rabbitmq"].Environment
	scripts := read(t, "deploy/postgres/10-world.sql") + read(t, "deploy/postgres/20-shop.sql")
	for name, each := range file.Services {
		for variable, value := range each.Environment {
			address, err := url.Parse(value)
			if err != nil || address.User == nil {
				continue
			}
			password, _ := address.User.Password()
			user, database := address.User.Username(), strings.TrimPrefix(address.Path, "/")
			var agree bool
			switch {
			case file.named(address.Hostname()) == "rabbitmq":
				agree = user == rabbit["RABBITMQ_DEFAULT_USER"] && password == rabbit["RABBITMQ_DEFAULT_PASS"]
			case database == postgres["POSTGRES_DB"]:
				agree = made(scripts, user, password) && user == roleOf(name) && strings.Contains(scripts, "ALTER DATABASE "+database+" OWNER TO payonce_owner")
			default:
				agree = made(scripts, user, password) && strings.Contains(scripts, "CREATE DATABASE "+database+" OWNER "+user)
			}
			if !agree {
				t.Errorf("%s: nobody gave %s the user, password or database that %s names", name, address.Hostname(), variable)
			}
		}
	}
}

func made(scripts, user, password string) bool {
	return strings.Contains(scripts, "CREATE ROLE "+user+" LOGIN PASSWORD '"+password+"'")
}

// roleOf is what a service is in the shop's database.
func roleOf(service string) string {
	switch service {
	case "migrate":
		return "payonce_owner"
	case "simulator":
		return "payonce_reader"
	}
	return "payonce_program"
}

func TestVolumesAreDeclaredOrLieInTheRepository(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	for name, each := range file.Services {
		for _, volume := range each.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, "./") {
				if _, err := os.Stat(filepath.Join(root, source)); err != nil {
					t.Errorf("%s mounts %s: %v", name, source, err)
				}
			} else if _, ok := file.Volumes[source]; !ok {
				t.Errorf("%s uses the volume %q, which is not declared", name, source)
			}
		}
	}
}

// What we build needs no right of the kernel and writes into no file of its image; what
// others build gains at least none.
func TestEachContainerIsClosed(t *testing.T) {
	t.Parallel()
	for name, s := range readCompose(t).Services {
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain rights", name)
		}
		if s.Build != nil && (!slices.Equal(s.CapDrop, []string{"ALL"}) || !s.ReadOnly) {
			t.Errorf("%s keeps rights of the kernel or writes into its image", name)
		}
	}
}
