package program

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"payonce/internal/lab/devstack/proc"
)

// Settings are what all programs of one house are told. What is empty is not
// told: there the program's own default holds.
type Settings struct {
	// Bin is the folder with the programs, Dir where they run; they write to
	// Dir/log.
	Bin, Dir string
	// Marker is the stack's: see devstack.Stack.Marker.
	Marker string

	Schedule                  string
	PostgresDSN, SimulatorDSN string
	// ReaderDSN is the shop's database for lessons, which only read; empty means
	// PostgresDSN.
	ReaderDSN             string
	AMQPURL, NaiveAMQPURL string
	// Simulator and SMTP are the outside world's addresses, host:port.
	Simulator, SMTP string
	// Provider is the URL at which the shop asks the card provider; empty means
	// the simulator's.
	Provider string
	// Listen is where an api listens, PublicURL where visitors find it and
	// LocalURL where this machine does.
	Listen, PublicURL, LocalURL string
	// Webhooks is where the provider sends its notices; empty means the api's.
	Webhooks string
	// Secrets are more variables, by their whole names.
	Secrets map[string]string
}

// Spec is how one program is run. admin is where it answers about its health, empty
// for the simulator, and the same as Listen for an api that is asked there; own are
// variables of its own, which win.
func (s Settings) Spec(name, admin string, own ...string) proc.Spec {
	if name == "api" && admin == s.Listen {
		admin = "" // its own door is anywhere
	}
	return proc.Spec{
		Name: name, Path: filepath.Join(s.Bin, name), Dir: s.Dir, LogFile: filepath.Join(s.Dir, "log", name+".log"),
		Env: append(s.environment(admin), own...),
	}
}

func (s Settings) environment(admin string) []string {
	env := Inherited("PATH", "HOME", "TMPDIR", "GOCOVERDIR")
	if s.Marker != "" {
		env = append(env, s.Marker)
	}
	tell := func(name, value string) {
		if value != "" {
			env = append(env, "PAYONCE_"+name+"="+value)
		}
	}
	world, webhooks := at(s.Simulator), s.Webhooks
	if webhooks == "" && s.LocalURL != "" {
		webhooks = s.LocalURL + "/v1/webhooks/provider"
	}
	provider := s.Provider
	if provider == "" {
		provider = world
	}
	tell("MODE", "sandbox")
	tell("LOG_FORMAT", "json")
	tell("SCHEDULE", s.Schedule)
	tell("POSTGRES_DSN", s.PostgresDSN)
	tell("AMQP_URL", s.AMQPURL)
	tell("NAIVE_AMQP_URL", s.NaiveAMQPURL)
	tell("PROVIDER_URL", provider)
	tell("SMTP_ADDR", s.SMTP)
	tell("MAILBOX_URL", world)
	tell("LISTEN", s.Listen)
	tell("ADMIN_LISTEN", admin)
	tell("PUBLIC_URL", s.PublicURL)
	tell("SIMULATOR_POSTGRES_DSN", s.SimulatorDSN)
	if s.LocalURL != "" {
		tell("SIMULATOR_SHOP_URL", s.LocalURL)
		tell("SIMULATOR_SHOP_DSN", cmp.Or(s.ReaderDSN, s.PostgresDSN))
	}
	tell("SIMULATOR_LISTEN", s.Simulator)
	tell("SIMULATOR_SMTP_LISTEN", s.SMTP)
	tell("SIMULATOR_WEBHOOK_URL", webhooks)
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		env = append(env, name+"="+s.Secrets[name])
	}
	return env
}

func at(address string) string {
	if address == "" {
		return ""
	}
	return "http://" + address
}

// Inherited are the variables of this process, of those named, that are set.
func Inherited(names ...string) (env []string) {
	for _, name := range names {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}
