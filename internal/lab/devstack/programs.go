package devstack

import (
	"context"
	_ "embed" // install.sh
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"payonce/internal/lab/devstack/proc"
)

// installer installs packages through apt without starting their services.
//
//go:embed install.sh
var installer string

// programs are the files that the engines execute.
type programs struct {
	postgresBin    string // folder of postgres and initdb
	rabbitmqServer string
	epmd           string
}

// oldestPostgres is the first major version with everything the migrations use.
const oldestPostgres = 15

// findPrograms installs what is missing and says where the rest is.
func findPrograms(ctx context.Context, o Options, dir string) (programs, error) {
	found, missing := lookAround(o, dir)
	if len(missing) == 0 {
		return found, nil
	}
	if err := install(ctx, o, dir, missing); err != nil {
		return programs{}, err
	}
	if found, missing = lookAround(o, dir); len(missing) > 0 {
		return programs{}, fmt.Errorf("%w: %s, even after installing", ErrMissing, strings.Join(missing, ", "))
	}
	return found, nil
}

// lookAround returns what is there and the Debian packages of what is not.
func lookAround(o Options, dir string) (found programs, missing []string) {
	if o.privatePostgres() {
		if found.postgresBin = findPostgres(dir); found.postgresBin == "" {
			missing = append(missing, postgresPackage(dir))
		}
	}
	if o.privateRabbitMQ() {
		servers := newestFirst("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
		epmd, err := exec.LookPath("epmd")
		if len(servers) == 0 || err != nil {
			missing = append(missing, "rabbitmq-server")
		} else {
			found.rabbitmqServer, found.epmd = servers[0], epmd
		}
	}
	return found, missing
}

// findPostgres prefers the newest version, but existing data need the version
// that made them.
func findPostgres(dir string) string {
	made := madeWith(dir)
	for _, program := range newestFirst("/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres") {
		bin := filepath.Dir(program)
		version := lastNumber(filepath.Dir(bin))
		if made == version || made == 0 && version >= oldestPostgres {
			return bin
		}
	}
	return ""
}

// postgresPackage is the distribution's own version unless data need another.
func postgresPackage(dir string) string {
	if made := madeWith(dir); made != 0 {
		return "postgresql-" + strconv.Itoa(made)
	}
	return "postgresql"
}

// madeWith is the major version of the data in dir, 0 when there are none.
func madeWith(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "PG_VERSION"))
	if err != nil {
		return 0
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return version
}

var number = regexp.MustCompile(`\d+`)

// newestFirst returns the files that match, those with the greatest numbers in
// their path first.
func newestFirst(patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err == nil { // the patterns are constants: they are never malformed
			all = append(all, files...)
		}
	}
	numbers := func(path string) []int {
		var list []int
		for _, digits := range number.FindAllString(path, -1) {
			n, err := strconv.Atoi(digits)
			if err == nil {
				list = append(list, n)
			}
		}
		return list
	}
	slices.SortFunc(all, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	return all
}

func lastNumber(path string) int {
	all := number.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1])
	if err != nil {
		return 0
	}
	return n
}

// install says what it does before it does it. It needs apt, and root or a sudo
// that asks no password; without them it says what a person has to type.
func install(ctx context.Context, o Options, dir string, packages []string) error {
	names := strings.Join(packages, " ")
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%w: install PostgreSQL %d or newer and RabbitMQ 3.10 or newer with your package manager (here: %s), or use `docker compose up`", ErrMissing, oldestPostgres, names)
	}
	command := []string{"/bin/sh", "-c", installer, "install.sh"}
	if os.Geteuid() != 0 {
		sudo, err := exec.LookPath("sudo")
		if err != nil || exec.CommandContext(ctx, sudo, "-n", "true").Run() != nil {
			return fmt.Errorf("%w: run `sudo %s install --no-install-recommends %s`, or use `docker compose up`", ErrMissing, apt, names)
		}
		command = append([]string{sudo, "-n"}, command...)
	}
	log := filepath.Join(dir, "log", "install.log")
	o.Progress(fmt.Sprintf("installing %s with apt (system services are not started; see %s)", names, log))
	command = append(command, packages...)
	if err := proc.Run(ctx, proc.Spec{
		Name: "apt-get install " + names, Path: command[0], Args: command[1:],
		Env: os.Environ(), Dir: dir, LogFile: log,
	}); err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return nil
}

// environment is all that a service is told about the world.
func environment(home string) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return []string{"PATH=" + path, "HOME=" + home, "LANG=C.UTF-8", marker + "=" + home}
}
