package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Write puts report.json and report.md into dir, and the Markdown also to the
// file that is named, if one is.
func (r *Report) Write(dir, markdown string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	files := map[string]string{filepath.Join(dir, "report.json"): string(text) + "\n", filepath.Join(dir, "report.md"): r.Markdown()}
	if markdown != "" {
		files[markdown] = r.Markdown()
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var b strings.Builder
	outcome := "**Everything held.**"
	if !r.Passed() {
		outcome = fmt.Sprintf("**FAILED:** %s", strings.Join(r.Failures, "; "))
	}
	title, where := "A chaos campaign", "one Postgres and one RabbitMQ"
	if r.Cluster {
		title, where = "A chaos campaign on a cluster", r.clusterLine()
	}
	fmt.Fprintf(&b, "# %s\n\n%s\n\nWritten by `make chaos DURATION=%s SEED=%d%s`; the same seed, length and crash points give the same plan.\n\n",
		title, outcome, r.Length, r.Seed, r.Args)
	table(&b, []string{"what", "figure"}, [][]string{
		{"seed", fmt.Sprint(r.Seed)}, {"began", r.Began.Format("2006-01-02 15:04:05 UTC")},
		{"revision", r.Revision}, {"machine", r.Machine},
		{"services", where},
		{"faults for", fmt.Sprintf("%.0f s, by a plan of %d steps", r.Raged.Seconds(), r.Plan)},
		{"captures", fmt.Sprint(r.Captures)}, {"attempts of clients", fmt.Sprint(r.Attempts)},
		{"refund sagas", fmt.Sprintf("%d: %d gave the money back, %d were undone", r.Sagas["succeeded"]+r.Sagas["failed"]+r.Sagas["pending"], r.Sagas["succeeded"], r.Sagas["failed"])},
		{"processes killed (SIGKILL)", fmt.Sprint(r.KillsInAll)},
		{"interruptions of database and broker", fmt.Sprintf("%d; killed: Postgres %d, RabbitMQ %d", r.Interruptions, crashesOf(r.Crashes, "postgres"), crashesOf(r.Crashes, "rabbitmq"))},
		{"at rest after the last fault", fmt.Sprintf("%.1f s", r.Convergence.Seconds())},
		{"poisonous messages, dead at each consumer", fmt.Sprint(r.Poison)},
		{"events, and copies at the broker", fmt.Sprintf("%d, %d", r.Events, r.Copies)},
	})
	r.writeChecks(&b)
	r.writeAttempts(&b)
	r.writeDoors(&b)
	r.writeFaults(&b)
	return b.String()
}

func (r *Report) writeChecks(b *strings.Builder) {
	b.WriteString("\n## What was checked\n\n")
	var rows [][]string
	for _, i := range r.Invariants {
		state := "holds"
		if !i.OK {
			state = fmt.Sprintf("**broken** %d×: %s", len(i.Violations), i.Violations[0])
		}
		rows = append(rows, []string{"`" + i.ID + "`", i.Kind, i.By, state})
	}
	table(b, []string{"check", "kind", "asked", "state"}, rows)
	fmt.Fprintf(b, "\nThe histories of %d payments were compared with a sequential payment; %d could not be decided.\n", r.Histories, r.Undecided)
	b.WriteString("\nThe verdict on each event:\n\n")
	rows = nil
	for _, v := range []Verdict{OK, Duplicated, Recovered, Lost, Unexpected} {
		rows = append(rows, []string{string(v), fmt.Sprint(r.Verdicts[v])})
	}
	table(b, []string{"verdict", "events"}, rows)
}

func (r *Report) writeAttempts(b *strings.Builder) {
	b.WriteString("\n## Attempts\n\nWhat the clients did:\n\n")
	table(b, []string{"manner", "attempts"}, counts(r.ByManner))
	b.WriteString("\nWhat they were answered:\n\n")
	table(b, []string{"answer", "attempts"}, counts(r.ByStatus))
	b.WriteString("\nWhat the shop's own log says of captures (a killed process takes its last 100 ms with it):\n\n")
	table(b, []string{"fate", "attempts"}, counts(r.Fates))
	b.WriteString("\nWhere repetitions were absorbed. Key and business key are counted in the clients' log; inbox and provider in the journal, which is bounded and lossy, so these two are least figures.\n\n")
	table(b, []string{"absorbed by", "times"}, counts(r.Absorbed))
}

func (r *Report) writeDoors(b *strings.Builder) {
	if len(r.Doors) == 0 {
		b.WriteString("\n## Other doors\n\nThey were left out (`--faults-only`).\n")
		return
	}
	b.WriteString("\n## Other doors\n\nWhat was done besides checkouts, in the middle of the faults, and how each came to its end:\n\n")
	var rows [][]string
	for _, d := range r.Doors {
		var ends []string
		for _, how := range sorted(d.Ends) {
			ends = append(ends, fmt.Sprintf("%d× %s", d.Ends[how], how))
		}
		rows = append(rows, []string{d.Name, fmt.Sprint(d.Times), strings.Join(ends, "; ")})
	}
	table(b, []string{"what was done", "times", "how it ended"}, rows)
}

func (r *Report) writeFaults(b *strings.Builder) {
	b.WriteString("\n## Faults\n\n")
	table(b, []string{"fault", "times"}, counts(r.Faults))
	b.WriteString("\nCrash points that fired:\n\n")
	header := append([]string{"point"}, r.Actions...)
	var rows [][]string
	for _, point := range r.Points {
		row := []string{"`" + point + "`"}
		for _, action := range r.Actions {
			row = append(row, fmt.Sprint(r.Fired[point][action]))
		}
		rows = append(rows, row)
	}
	table(b, header, rows)
	if len(r.Unreached) > 0 {
		fmt.Fprintf(b, "\nStill armed at the end: %s.\n", strings.Join(r.Unreached, ", "))
	}
	fmt.Fprintf(b, "\nKilled, by program; %d lives ended otherwise (a panic, a start while the database was away):\n\n", r.OtherEndings)
	table(b, []string{"program", "kills"}, counts(r.Kills))
}

func counts(m map[string]int) (rows [][]string) {
	for _, name := range sorted(m) {
		rows = append(rows, []string{name, fmt.Sprint(m[name])})
	}
	return rows
}

func table(b *strings.Builder, header []string, rows [][]string) {
	line := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	line(slices.Repeat([]string{"---"}, len(header)))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		line(row)
	}
}
