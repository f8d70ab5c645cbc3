package retention

import (
	"context"
	"io/fs"

	"payonce/internal/platform/postgres"
	keep "payonce/once/retention"
)

// Ahead is how many days of partitions are kept in stock.
const Ahead = keep.Ahead

// days are the functions that the tables' owner gives the programs' role.
var days = keep.Days{
	Make: `
SELECT ensure_day_partitions(@table, (clock_timestamp() AT TIME ZONE 'UTC')::date - 1, (clock_timestamp() AT TIME ZONE 'UTC')::date + CAST(@ahead AS integer))`,
	Drop: `SELECT drop_day_partition(@table, @part)`,
}

// Prepare brings a database up to date: its schema, by the migrations, and then
// its partitions. It returns how many migrations it applied. Under locks, so that
// several may do it at once.
func Prepare(ctx context.Context, pg postgres.Config, files fs.FS) (applied int, err error) {
	if applied, err = postgres.Migrate(ctx, pg, files); err != nil {
		return applied, err
	}
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return applied, err
	}
	defer func() { _ = db.Close() }()
	return applied, MakeAhead(ctx, db)
}

// MakeAhead makes the partitions of the coming days; see [keep.MakeAhead].
func MakeAhead(ctx context.Context, db *postgres.DB) error {
	return keep.MakeAhead(ctx, db.Once(), "", days)
}

// DaysLeft says for how many days after today there are partitions; see [keep.DaysLeft].
func DaysLeft(ctx context.Context, db *postgres.DB) (int, error) {
	return keep.DaysLeft(ctx, db.Once(), "")
}
