package stage

import (
	"net/url"
	"slices"

	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
)

// ways are where the programs find each other.
type ways struct {
	between            func(from, to, address string) string
	postgres, rabbitmq string // URLs
	provider           string
	smtp               string // host and port
}

// of is what one program is told. A way is laid only for who takes it.
func (w ways) of(program string) []string {
	var env []string
	takes := func(variable, to, target string, programs ...string) {
		if slices.Contains(programs, program) {
			env = append(env, variable+"="+w.url(program, to, target))
		}
	}
	// What is given is an administrator's, for looking and breaking; the programs are not one.
	takes("PAYONCE_POSTGRES_DSN", "postgres", devstack.RoleDSN(w.postgres, postgres.ProgramRole), "api", "relay", "worker")
	takes("PAYONCE_AMQP_URL", "rabbitmq", w.rabbitmq, "relay", "worker")
	takes("PAYONCE_NAIVE_AMQP_URL", "rabbitmq", w.rabbitmq, "api")
	takes("PAYONCE_PROVIDER_URL", "provider", w.provider, "api", "worker")
	if program == "worker" {
		env = append(env, "PAYONCE_SMTP_ADDR="+w.address(program, "smtp", w.smtp))
	}
	return env
}

func (w ways) address(from, to, address string) string {
	if w.between == nil {
		return address
	}
	return w.between(from, to, address)
}

func (w ways) url(from, to, target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme == "" {
		return target // no URL: words of a DSN, or a mistake that the program will name
	}
	u.Host = w.address(from, to, u.Host)
	return u.String()
}
