package main

import (
	"context"
	"time"

	"payonce/internal/platform/postgres"
)

// The heartbeat of a program that was killed stays fresh for three seconds, in
// which the next one has long begun: who watches would hear of it late. The demo
// knows at once.
const mournSQL = `UPDATE heartbeats SET beat_at = beat_at - interval '3 seconds' WHERE process = $1 AND pid = $2`

// mourn makes the heartbeat of a program that has ended an old one. It is a courtesy
// to who watches: where it fails, the heartbeat grows old by itself.
func (d *demo) mourn(name string, pid int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	db, err := postgres.Open(ctx, postgres.Config{DSN: d.file.PostgresDSN, PoolSize: 1, AppName: "payonce-demo"})
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }()
	_ = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, mournSQL, binary(name), pid)
		return err
	})
}
