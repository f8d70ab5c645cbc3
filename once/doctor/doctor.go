// Package doctor looks at what goes wrong on the first days of a program that takes the
// patterns, and later at night: tables of another version, days without a partition,
// windows that do not fit each other, queues that are not there or that no consumer reads.
// Each finding has a remedy. It changes nothing and may run beside the program, for
// example behind a command of its own, or at start.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"payonce/once"
	"payonce/once/message"
	"payonce/once/retention"
	"payonce/once/schema"
)

// Broker looks at queues; [payonce/once/rabbit.Conn] is one.
type Broker interface {
	Depth(ctx context.Context, queue string) (message.Depth, error)
}

// Config says what is looked at.
type Config struct {
	DB     once.DB
	Schema once.Schema
	// Windows are those that the program gives to [retention.New].
	Windows retention.Windows
	// Broker and the queues that must be there, each with a consumer, which are those of
	// [payonce/once/rabbit.Topology.Consumed]; nil for a program without a broker.
	Broker Broker
	Queues []string
}

// Finding is what is wrong, and what to do.
type Finding struct{ Wrong, Remedy string }

// String says both.
func (f Finding) String() string { return f.Wrong + ": " + f.Remedy }

// enough is the stock of days below which a retention job has not run for weeks.
const enough = 3

// Examine looks once. An error says that the database could not be asked; findings before
// it are returned.
func Examine(ctx context.Context, cfg Config) (found []Finding, err error) {
	add := func(wrong, remedy string) { found = append(found, Finding{wrong, remedy}) }
	missing, err := missingFiles(ctx, cfg)
	if err != nil {
		return found, err
	}
	if len(missing) > 0 {
		add(strings.TrimRight("the schema "+string(cfg.Schema), " ")+" lacks "+strings.Join(missing, ", "), "call schema.Apply at start, or take these files into your own migrations")
	}
	if slices.Contains(missing, firstFile) { // there is nothing else to look at
		return found, nil
	}
	days, err := retention.DaysLeft(ctx, cfg.DB, cfg.Schema)
	if err != nil {
		return found, err
	}
	if days < enough {
		add(fmt.Sprintf("partitions are there for %d more days", max(days, 0)), "run a retention.Keeper; without one each append and each consumer fails when they end")
	}
	if err := retention.Lint(cfg.Windows); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			add("windows", line)
		}
	}
	for _, queue := range cfg.Queues {
		found = append(found, cfg.queue(ctx, queue)...)
	}
	return found, nil
}

func (cfg Config) queue(ctx context.Context, queue string) []Finding {
	depth, err := cfg.Broker.Depth(ctx, queue)
	switch {
	case errors.Is(err, message.ErrNoQueue):
		return []Finding{{"there is no queue " + queue, "put it into the topology that the program opens its connection with"}}
	case err != nil:
		return []Finding{{"the broker cannot be asked: " + err.Error(), "is its address right, and does the user see the virtual host?"}}
	case depth.Consumers == 0:
		return []Finding{{fmt.Sprintf("no consumer reads %s, where %d messages wait", queue, depth.Ready), "run its consumer; of the dead queue that is a retry.Collector"}}
	}
	return nil
}

const firstFile = "0001_webhook_receipts.sql"

const (
	appliedSQL  = `SELECT file FROM {once_versions}`
	tableSQL    = `SELECT to_regclass(@name) IS NOT NULL`
	functionSQL = `SELECT to_regproc(@name) IS NOT NULL`
	columnSQL   = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(@name) AND attname = @column)`
)

// made finds what a file makes that can be looked for: a table, a function, a column.
var made = regexp.MustCompile(`(?m)^(CREATE TABLE|CREATE FUNCTION|ALTER TABLE) (\w+)(?:\s+ADD COLUMN (\w+))?`)

// missingFiles are those that have not been applied. A program with migrations of its own
// has no list of them, and is asked for what each makes by its name.
func missingFiles(ctx context.Context, cfg Config) (missing []string, err error) {
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	listed, err := cfg.there(ctx, tableSQL, "once_versions", "")
	if err != nil {
		return nil, err
	}
	if !listed {
		return cfg.withoutList(ctx, files)
	}
	rows, err := once.Written(cfg.Schema, appliedSQL).Read(ctx, cfg.DB, nil)
	applied, err := once.All(rows, err, func(file *string) []any { return []any{file} })
	return slices.DeleteFunc(files, func(file string) bool { return slices.Contains(applied, file) }), err
}

// withoutList looks for what the files make.
func (cfg Config) withoutList(ctx context.Context, files []string) (missing []string, err error) {
	for _, file := range files {
		text, err := fs.ReadFile(schema.Files, file)
		if err != nil {
			return nil, err
		}
		for _, thing := range made.FindAllStringSubmatch(string(text), -1) {
			query := map[string]string{"CREATE TABLE": tableSQL, "CREATE FUNCTION": functionSQL, "ALTER TABLE": columnSQL}[thing[1]]
			there, err := cfg.there(ctx, query, thing[2], thing[3])
			if err != nil {
				return nil, err
			}
			if !there {
				missing = append(missing, file)
				break
			}
		}
	}
	return missing, nil
}

func (cfg Config) there(ctx context.Context, query, name, column string) (there bool, err error) {
	rows, err := once.Named(query).Read(ctx, cfg.DB, once.Args{"name": cfg.Schema.In("{" + name + "}"), "column": column})
	_, err = once.One(rows, err, &there)
	return there, err
}
