package cli

import (
	"context"
	"fmt"
	"time"

	"payonce/internal/edge/retention"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

type migrateCommand struct {
	DSN string `name:"dsn" help:"The shop's database; the demo's when not given." env:"PAYONCE_POSTGRES_DSN" placeholder:"postgres://…"`

	Up     migrateUp     `cmd:"" help:"Apply what is missing, and make the coming days' partitions."`
	Status migrateStatus `cmd:"" help:"List each migration; exit code 1 when one is missing."`
}

// Help implements kong.HelpProvider.
func (migrateCommand) Help() string {
	return `The migrations are those that this program was built with; they are numbered and only go forward. An advisory lock makes several who migrate take turns. The api does the same with --migrate.

Examples:

    payonce migrate status
    payonce migrate up --dsn postgres://user:password@host/database`
}

// config names the database: the one that is given, or the demo's.
func (m *migrateCommand) config(r *run) (postgres.Config, error) {
	dsn := m.DSN
	if dsn == "" {
		p, err := r.where()
		if err != nil {
			return postgres.Config{}, err
		}
		if p.demo == nil {
			return postgres.Config{}, &usageError{"which database? Give --dsn, or run beside the demo"}
		}
		dsn = p.demo.PostgresDSN
	}
	return postgres.Config{DSN: dsn, PoolSize: 2, AppName: "payonce-cli"}, nil
}

// migration is one step, for people and for programs.
type migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *wire.Time `json:"applied_at"`
}

// schema is the state of a database.
type schema struct {
	Applied    int         `json:"applied"`
	Pending    int         `json:"pending"`
	Migrations []migration `json:"migrations"`
}

func readSchema(ctx context.Context, pg postgres.Config) (s schema, err error) {
	steps, err := postgres.Steps(ctx, pg, migrations.Files)
	if err != nil {
		return s, advise(err, "Is Postgres there, and is the DSN right? payonce doctor tells.")
	}
	s.Migrations = make([]migration, 0, len(steps))
	for _, step := range steps {
		m := migration{Version: step.Version, Name: step.Name}
		if step.AppliedAt.IsZero() {
			s.Pending++
		} else {
			m.AppliedAt = wire.AtOrNull(&step.AppliedAt)
		}
		s.Migrations = append(s.Migrations, m)
	}
	return s, nil
}

func (r *run) drawSchema(s schema) {
	rows := make([][]screen.Cell, 0, len(s.Migrations))
	for _, m := range s.Migrations {
		at := screen.In(screen.Bad, "pending")
		if m.AppliedAt != nil {
			at = screen.In(screen.Good, "applied "+m.AppliedAt.Time().Local().Format("2006-01-02 15:04:05"))
		}
		rows = append(rows, []screen.Cell{screen.T(fmt.Sprint(m.Version)), screen.T(m.Name), at})
	}
	r.screen.Table([]string{"version", "migration", "state"}, rows)
	r.screen.Line()
	if s.Applied > 0 {
		r.screen.Line(screen.In(screen.Good, fmt.Sprintf("%d applied just now.", s.Applied)))
	}
	if s.Pending == 0 {
		r.screen.Line(screen.In(screen.Good, "The schema is up to date."))
		return
	}
	r.screen.Line(screen.In(screen.Bad, fmt.Sprintf("%d pending: payonce migrate up.", s.Pending)))
}

type migrateUp struct{}

// Run migrates.
func (migrateUp) Run(r *run) error {
	pg, err := r.grammar.Migrate.config(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Minute)
	defer cancel()
	applied, err := retention.Prepare(ctx, pg, migrations.Files)
	if err != nil {
		return err
	}
	s, err := readSchema(ctx, pg)
	if err != nil {
		return err
	}
	s.Applied = applied
	return r.screen.Result(s, func() { r.drawSchema(s) })
}

type migrateStatus struct{}

// Run lists.
func (migrateStatus) Run(r *run) error {
	pg, err := r.grammar.Migrate.config(r)
	if err != nil {
		return err
	}
	s, err := readSchema(r.ctx, pg)
	if err != nil {
		return err
	}
	if err := r.screen.Result(s, func() { r.drawSchema(s) }); err != nil {
		return err
	}
	if s.Pending > 0 {
		return errShown
	}
	return nil
}
