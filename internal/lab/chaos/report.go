package chaos

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"payonce/internal/platform/postgres"
)

// Report is what a campaign found. Its JSON is for programs, [Report.Markdown]
// for people.
type Report struct {
	Seed     uint64        `json:"seed"`
	Length   time.Duration `json:"length"`
	Raged    time.Duration `json:"raged"` // until the faults were lifted
	Took     time.Duration `json:"took"`
	Began    time.Time     `json:"began"`
	Machine  string        `json:"machine"`
	Revision string        `json:"revision"`
	Actions  []string      `json:"actions"`
	Args     string        `json:"args"` // what make was given besides
	Points   []string      `json:"points"`
	Plan     int           `json:"plan"` // how many steps

	Captures   int            `json:"captures"`
	Sagas      map[string]int `json:"sagas"` // refunds, by how they ended
	Unanswered int            `json:"unanswered"`
	Attempts   int            `json:"attempts"`
	ByStatus   map[string]int `json:"by_status"`
	ByManner   map[string]int `json:"by_manner"`
	Fates      map[string]int `json:"fates"`
	Absorbed   map[string]int `json:"absorbed"`

	Faults        map[string]int            `json:"faults"`
	NotCarriedOut []string                  `json:"not_carried_out"`
	Fired         map[string]map[string]int `json:"fired"` // by point and action
	Unreached     []string                  `json:"unreached"`
	Kills         map[string]int            `json:"kills"`
	KillsInAll    int                       `json:"kills_in_all"`
	OtherEndings  int                       `json:"other_endings"`
	Interruptions int                       `json:"interruptions"`
	Doors         []Door                    `json:"doors"` // the other doors to the money
	Crashes       map[string]int            `json:"crashes"`
	Cluster       bool                      `json:"cluster"`
	Rejoined      int                       `json:"rejoined"` // nodes that were started again because they stayed outside

	Poison      int             `json:"poison"` // events that no consumer could apply
	Events      int             `json:"events"`
	Copies      int             `json:"copies"`
	Verdicts    map[Verdict]int `json:"verdicts"`
	Convergence time.Duration   `json:"convergence"`
	Histories   int             `json:"histories"`
	Undecided   int             `json:"undecided"`

	Invariants []Finding `json:"invariants"`
	// Failures is why the campaign failed; empty when everything held.
	Failures []string `json:"failures"`
}

// Finding is one named check.
type Finding struct {
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	By         string   `json:"by"`
	OK         bool     `json:"ok"`
	Violations []string `json:"violations"`
}

// Passed says whether everything held.
func (r *Report) Passed() bool { return len(r.Failures) == 0 }

func newReport(o Options) *Report {
	return &Report{
		Seed: o.Seed, Length: o.Length, Cluster: o.Cluster, Actions: o.Actions, Args: o.args(), Began: time.Now().UTC().Truncate(time.Second),
		Machine: machine(), Revision: revision(), Unreached: []string{}, NotCarriedOut: []string{}, Failures: []string{},
	}
}

func (r *Report) fail(what, why string) { r.Failures = append(r.Failures, what+": "+why) }

// invariant notes a named check; it holds when nothing broke it.
func (r *Report) invariant(id, kind, by string, violations []string) {
	if violations == nil {
		violations = []string{}
	}
	r.Invariants = append(r.Invariants, Finding{ID: id, Kind: kind, By: by, OK: len(violations) == 0, Violations: violations[:min(len(violations), 100)]})
}

// judge turns what was found into failures.
func (r *Report) judge(promise time.Duration) {
	for _, i := range r.Invariants {
		if !i.OK {
			r.fail(i.ID, fmt.Sprintf("%d violations, first: %s", len(i.Violations), i.Violations[0]))
		}
	}
	if r.Convergence > promise {
		r.fail("convergence", fmt.Sprintf("%.1f s after the last fault, promised are %.0f", r.Convergence.Seconds(), promise.Seconds()))
	}
	if r.Unanswered > 0 {
		r.fail("answers", fmt.Sprintf("%d buyers never got an outcome", r.Unanswered))
	}
	if r.Undecided > 0 {
		r.fail("capture_history", fmt.Sprintf("%d histories could not be decided in time", r.Undecided))
	}
	if r.Captures == 0 {
		r.fail("load", "nothing was captured")
	}
	for _, point := range r.Points {
		for _, action := range r.Actions {
			if r.Fired[point][action] == 0 {
				r.fail("crash points", point+" was never reached with "+action)
			}
		}
	}
	for _, door := range r.Doors {
		if door.Times == 0 {
			r.fail("other doors", door.Name+" never came to its end")
		}
	}
	for _, step := range r.NotCarriedOut {
		r.fail("plan", step)
	}
}

// explain asks whether every 500 has its injected panic or error: one that has
// none is a bug that a retry has hidden.
func (r *Report) explain() {
	injected := 0
	for point, actions := range r.Fired {
		if slices.Equal(hostsOf(point), apis) {
			injected += actions["panic"] + actions["error"]
		}
	}
	var unexplained []string
	if seen := r.ByStatus["500 internal-error"]; seen > injected {
		unexplained = append(unexplained, fmt.Sprintf("%d answers were 500, %d failures were injected", seen, injected))
	}
	r.invariant("every_500_explained", "safety", "clients' log", unexplained)
}

func (r *Report) readLog(log []Entry) {
	r.Attempts = len(log)
	r.ByStatus, r.ByManner, r.Absorbed = map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range log {
		status := fmt.Sprintf("%d", e.Status)
		if e.Status == 0 {
			status = "no answer"
		} else if e.Problem != "" {
			status += " " + e.Problem
		}
		r.ByStatus[status]++
		r.ByManner[e.Why]++
		if e.Replayed {
			r.Absorbed["key"]++
		}
		if e.Matched {
			r.Absorbed["business key"]++
		}
	}
}

func (r *Report) readDirector(d *director) {
	r.Fired = d.fired()
	r.Kills, r.KillsInAll, r.OtherEndings = d.deaths()
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Faults, r.Crashes, r.Interruptions, r.NotCarriedOut, r.Rejoined = d.done, d.crashes, d.broken, d.failed, d.rejoined
}

const fatesSQL = `SELECT fate, count(*) AS n FROM attempts WHERE operation = 'capture' GROUP BY fate`

// absorbedSQL counts what the journal heard: it is bounded and dies with its
// process, so these are least figures.
const absorbedSQL = `
SELECT 'inbox' AS fate, count(*) AS n FROM activity WHERE kind = 'absorbed'
UNION ALL
SELECT 'provider', coalesce(sum(n - 1), 0)
  FROM (SELECT count(*) AS n FROM activity WHERE kind = 'charge.sent' GROUP BY payment_id, facts->>'attempt') AS sent`

func (r *Report) readTables(ctx context.Context, db *postgres.DB) error {
	type row struct {
		Fate string `db:"fate"`
		N    int    `db:"n"`
	}
	var fates, absorbed []row
	if err := db.Select(ctx, &fates, fatesSQL); err != nil {
		return err
	}
	if err := db.Select(ctx, &absorbed, absorbedSQL); err != nil {
		return err
	}
	r.Fates = map[string]int{}
	for _, f := range fates {
		r.Fates[f.Fate] = f.N
	}
	for _, a := range absorbed {
		r.Absorbed[a.Fate] = a.N
	}
	return nil
}

// machine describes where the campaign ran.
func machine() string {
	model := "unknown processor"
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// revision is the commit that ran, and whether the tree differed from it.
func revision() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output() //nolint:noctx // a moment, once
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(out))
	if changed, err := exec.Command("git", "status", "--porcelain").Output(); err == nil && len(changed) > 0 { //nolint:noctx // the same
		name += " and changes"
	}
	return name
}

// sorted lists a map's keys.
func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
