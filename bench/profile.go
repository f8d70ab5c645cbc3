package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/program"
)

// profiler keeps what the programs and Postgres spent in a slice: a profile of the
// processor and one of allocations for each program, and what each statement took.
type profiler struct {
	dir      string
	programs []profiled
}

// profiled is a program that was built to be.
type profiled struct {
	name, admin string
	of          *program.Program
}

// add makes a program known, by where its health is asked for.
func (p *profiler) add(of *program.Program, admin string) {
	p.programs = append(p.programs, profiled{of.Name, "http://" + admin, of})
}

// running are the programs that live, each under a name of its own.
func (p *profiler) running() (all []profiled) {
	seen := map[string]int{}
	for _, one := range p.programs {
		if !one.of.Running() {
			continue
		}
		if seen[one.name]++; seen[one.name] > 1 {
			one.name = fmt.Sprintf("%s-%d", one.name, seen[one.name])
		}
		all = append(all, one)
	}
	return all
}

func (p *profiler) begin(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()`); err != nil {
		return err
	}
	for _, one := range p.running() {
		if _, err := ask(ctx, http.MethodPost, one.admin, "/profile/cpu/begin"); err != nil {
			return fmt.Errorf("profile the %s: %w", one.name, err)
		}
	}
	return nil
}

// end writes what was collected into a folder of the line and its contender.
func (p *profiler) end(ctx context.Context, db *sql.DB, line, contender string, done int) error {
	dir := filepath.Join(p.dir, line, contender)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	spent, err := statementsOf(ctx, db, done)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "statements.txt"), []byte(spent), 0o644)
	}
	fmt.Fprintf(os.Stderr, "%s, %s: what Postgres spent\n%s", line, contender, spent)
	for _, one := range p.running() {
		for file, from := range map[string][2]string{
			one.name + ".cpu":    {http.MethodPost, "/profile/cpu/end"},
			one.name + ".allocs": {http.MethodGet, "/profile/allocs"},
		} {
			profile, problem := ask(ctx, from[0], one.admin, from[1])
			if problem == nil {
				problem = os.WriteFile(filepath.Join(dir, file), profile, 0o644)
			}
			err = errors.Join(err, problem)
		}
		fmt.Fprintf(os.Stderr, "  go tool pprof -http=localhost: %s\n", filepath.Join(dir, one.name+".cpu"))
	}
	return err
}

// ask asks a program's admin server.
func ask(ctx context.Context, method, admin, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := client.New(admin, "", client.Options{}).Do(ctx, client.Request{Method: method, Path: path})
	return answer.Body, err
}

const spentSQL = `
SELECT 1000 * sum(total_exec_time + total_plan_time), sum(calls)::bigint, sum(wal_records)::bigint, left(regexp_replace(query, '\s+', ' ', 'g'), 110)
  FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY 4 ORDER BY 1 DESC LIMIT 20`

// statementsOf is what each statement took of one operation.
func statementsOf(ctx context.Context, db *sql.DB, done int) (string, error) {
	rows, err := db.QueryContext(ctx, spentSQL)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	each := float64(max(1, done))
	for rows.Next() {
		var us float64
		var calls, records int64
		var text string
		if err := rows.Scan(&us, &calls, &records, &text); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %7.1f µs, %5.2f times, %5.1f records  %s\n", us/each, float64(calls)/each, float64(records)/each, text)
	}
	return b.String(), rows.Err()
}
