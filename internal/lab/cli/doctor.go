package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
	"payonce/internal/lab/runfile"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
	"payonce/once/rabbit"
)

type doctorCommand struct{}

// Help implements kong.HelpProvider.
func (doctorCommand) Help() string {
	return `Looks at everything that has to be there, from the outside in, and says for each failure what to do. What only a developer needs is marked and fails nothing. Exit code 1 when something failed.

Examples:

    payonce doctor
    payonce doctor --url https://shop.example
    payonce doctor --json | jq '.checks[] | select(.state == "failed")'`
}

// finding is what one check found.
type finding struct {
	Name string `json:"name"`
	// State is ok, failed, note (worth knowing, fails nothing) or skipped.
	State  string `json:"state"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

func ok(name, detail string) finding { return finding{Name: name, State: "ok", Detail: detail} }

func failed(name string, err error, remedy string) finding {
	return finding{Name: name, State: "failed", Detail: err.Error(), Remedy: remedy}
}

func note(name, detail, remedy string) finding {
	return finding{Name: name, State: "note", Detail: detail, Remedy: remedy}
}

func skipped(name, why string) finding { return finding{Name: name, State: "skipped", Detail: why} }

// report is everything that was found.
type report struct {
	Ok     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// Run examines.
func (doctorCommand) Run(r *run) error {
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	d := doctor{ctx: ctx}
	p, err := r.where()
	if err != nil {
		remedy := "Start the demo: make demo."
		var a *advised
		if errors.As(err, &a) {
			remedy = a.remedy
		}
		d.add(failed("shop", err, remedy))
	} else {
		d.examine(p)
	}
	d.add(space(r.dataDir()))
	d.add(tools(ctx)...)
	result := report{Ok: !slices.ContainsFunc(d.found, func(f finding) bool { return f.State == "failed" }), Checks: d.found}
	if err := r.screen.Result(result, func() { r.drawReport(result) }); err != nil {
		return err
	}
	if !result.Ok {
		return errShown
	}
	return nil
}

type doctor struct {
	ctx   context.Context //nolint:containedctx // one examination
	found []finding
}

func (d *doctor) add(f ...finding) { d.found = append(d.found, f...) }

// examine goes from the shop's door inwards.
func (d *doctor) examine(p *place) {
	if p.demo == nil {
		d.add(ok("shop", p.url+", as given"), skipped("run.json", "not a demo of this folder: its processes and services cannot be looked at"))
	} else {
		d.add(ok("shop", p.url), ok("run.json", runfile.Path(p.dir)))
		d.add(pids(p.demo.Pids)...)
	}
	shop := shopAt(p.url, p.operator)
	d.add(d.ready(shop)...)
	d.add(d.processes(shop)...)
	if p.demo == nil {
		return
	}
	pg := postgres.Config{DSN: p.demo.PostgresDSN, PoolSize: 2, AppName: "payonce-doctor"}
	d.add(d.database(pg)...)
	d.add(d.broker(p.demo.AMQPURL))
	d.add(d.reachable("provider", p.demo.SimulatorURL+"/healthz"), d.reachable("mailbox", p.demo.MailboxURL))
}

const again = "The demo starts again what ends; if this stays, look at .payonce/log, then stop it with Ctrl-C and run make demo."

// pids says of each of the demo's processes whether it lives.
func pids(all map[string]int) (found []finding) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		check, pid := "process "+name, all[name]
		if alive(pid) {
			found = append(found, ok(check, fmt.Sprintf("pid %d", pid)))
			continue
		}
		found = append(found, failed(check, fmt.Errorf("pid %d does not run", pid),
			"It is being started again this moment; if this stays, the demo was killed and run.json is left over: make demo."))
	}
	return found
}

// ready asks the api, and compares its clock with ours.
func (d *doctor) ready(shop *client.Client) []finding {
	answer, err := shop.Do(d.ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
	var refused *client.Refusal
	if errors.As(err, &refused) {
		detail := refused.Problem.Detail
		if state, err := client.Read[wire.Readiness](client.Answer{Body: refused.Body}); err == nil && len(state.Checks) > 0 {
			detail = readinessWords(state)
		}
		return []finding{failed("api", errors.New(detail), again)}
	}
	if err != nil {
		return []finding{failed("api", err, "Is the address right, and does the demo run? make demo. In a room: was it started with --listen 0.0.0.0?")}
	}
	state, err := client.Read[wire.Readiness](answer)
	if err != nil {
		return []finding{failed("api", err, "Is this a payonce shop?")}
	}
	return []finding{ok("api", readinessWords(state)), clock("api", answer.Header.Get("Date"))}
}

func readinessWords(r wire.Readiness) string {
	parts := make([]string, 0, len(r.Checks))
	for _, c := range r.Checks {
		word := c.Name + " ok"
		if !c.Ok {
			word = c.Name + " not ready"
			if c.Detail != nil {
				word += " (" + *c.Detail + ")"
			}
		}
		parts = append(parts, word)
	}
	return strings.Join(parts, ", ")
}

// clock compares a server's time with this machine's: receipts of webhooks and
// leases are judged by it.
func clock(whose, date string) finding {
	name := "clock of the " + whose
	at, err := http.ParseTime(date)
	if err != nil {
		return skipped(name, "its answer has no date")
	}
	const tolerance = 5 * time.Second
	if apart := time.Since(at).Abs(); apart > tolerance {
		return failed(name, fmt.Errorf("%.0f s apart from this machine's", apart.Seconds()), "Set the clock (timedatectl set-ntp true); after a sleep of the laptop start the demo again.")
	}
	return ok(name, "agrees with this machine's")
}

// processes asks the shop which of its processes beat.
func (d *doctor) processes(shop *client.Client) (found []finding) {
	list, err := client.Get[wire.ProcessList](d.ctx, shop, "/v1/processes")
	if client.Is(err, wire.KindAuthenticationRequired) {
		return []finding{skipped("heartbeats", "they need the operator's token or an API key")}
	}
	if err != nil {
		return []finding{failed("heartbeats", err, again)}
	}
	for _, p := range list.Data {
		name := "heartbeat of " + string(p.Process)
		switch {
		case p.Process == wire.ProcessProcessRabbitmq || p.Process == wire.ProcessProcessSimulator:
			// These do not beat; they are asked themselves.
		case p.State != wire.ProcessStateUp:
			found = append(found, failed(name, errors.New("none beats"), again))
		case p.BrokerOk != nil && !*p.BrokerOk:
			found = append(found, failed(name, errors.New("it beats and does not reach the broker"), "RabbitMQ takes some 7 s to start; wait, then look at .payonce/log/rabbitmq.log."))
		default:
			instances := int64(p.Instances)
			found = append(found, ok(name, amount(&instances, "instance", "", "s")))
		}
	}
	return found
}

func (d *doctor) database(pg postgres.Config) []finding {
	const remedy = "Look at .payonce/log/postgres.log; make demo starts it. A database of your own: is PAYONCE_POSTGRES_DSN right?"
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return []finding{failed("postgres", err, remedy)}
	}
	defer func() { _ = db.Close() }()
	var version string
	if err := db.Get(ctx, &version, `SELECT current_setting('server_version')`); err != nil {
		return []finding{failed("postgres", err, remedy)}
	}
	found := []finding{ok("postgres", "version "+version)}
	switch now, newest, err := postgres.SchemaVersion(ctx, pg, migrations.Files); {
	case err != nil:
		found = append(found, failed("migrations", err, remedy))
	case now < newest:
		found = append(found, failed("migrations", fmt.Errorf("version %d, this program needs %d", now, newest), "payonce migrate up, or start the demo again."))
	case now > newest:
		found = append(found, note("migrations", fmt.Sprintf("version %d, newer than this program's %d", now, newest), "Build this program anew: go build -o .payonce/bin/payonce ./cmd/payonce"))
	default:
		found = append(found, ok("migrations", fmt.Sprintf("version %d, the newest", now)))
	}
	return append(found, roles(ctx, db))
}

// The programs of the shop name themselves to the database.
const tooStrongSQL = `
SELECT DISTINCT a.application_name || ' as ' || r.rolname FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
 WHERE a.datname = current_database() AND r.rolsuper AND a.application_name IN ('payonce-api', 'payonce-relay', 'payonce-worker')
 ORDER BY 1`

// roles looks whether a program of the shop is a superuser of the database.
func roles(ctx context.Context, db *postgres.DB) finding {
	const name = "roles"
	var strong []string
	if err := db.Select(ctx, &strong, tooStrongSQL); err != nil {
		return skipped(name, err.Error())
	}
	if len(strong) > 0 {
		return note(name, "superusers: "+strings.Join(strong, ", "),
			"Give api, relay and worker the role payonce_program and only api --migrate the owner: docs/production.md, Roles of the database.")
	}
	return ok(name, "no program of the shop is a superuser")
}

// broker asks each node: of three, two are enough.
func (d *doctor) broker(nodes string) finding {
	const remedy = "RabbitMQ takes some 7 s to start; wait, then look at .payonce/log/rabbitmq.log. Is epmd's port taken by another broker? Stop that one."
	urls := strings.Split(nodes, ",")
	var problems []error
	for _, url := range urls {
		if err := d.letIn(url); err != nil {
			problems = append(problems, err)
		}
	}
	switch reached := len(urls) - len(problems); {
	case reached == 0:
		return failed("rabbitmq", problems[0], remedy)
	case len(problems) > 0:
		return note("rabbitmq", fmt.Sprintf("%d of %d nodes reached, and let in: %s", reached, len(urls), problems[0]),
			"A demo with --cluster starts a node again that ends; if this stays, look at .payonce/cluster/log. Of three nodes two are enough, one alone serves nothing.")
	case reached > 1:
		return ok("rabbitmq", fmt.Sprintf("%d nodes reached, and let in", reached))
	}
	return ok("rabbitmq", "reached, and let in")
}

func (d *doctor) letIn(url string) error {
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Name: "payonce-doctor"})
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Ready(ctx)
}

func (d *doctor) reachable(name, address string) finding {
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
	defer cancel()
	_, err := shopAt(address, "").Do(ctx, client.Request{Method: http.MethodGet})
	if err != nil {
		return failed(name, err, again)
	}
	return ok(name, address)
}

func (r *run) drawReport(all report) {
	marks := map[string]screen.Cell{
		"ok": screen.In(screen.Good, "✓"), "failed": screen.In(screen.Bad, "✗"), "note": screen.In(screen.Open, "!"), "skipped": screen.In(screen.Soft, "–"),
	}
	rows := make([][]screen.Cell, 0, len(all.Checks))
	for _, f := range all.Checks {
		rows = append(rows, []screen.Cell{marks[f.State], screen.T(f.Name), screen.T(f.Detail), screen.T(f.Remedy)})
	}
	r.screen.Table([]string{"", "check", "found", "what to do"}, rows)
	r.screen.Line()
	if all.Ok {
		r.screen.Line(screen.In(screen.Good, "Nothing is wrong."))
		return
	}
	r.screen.Line(screen.In(screen.Bad, "Something is wrong; what to do stands beside it."))
}
