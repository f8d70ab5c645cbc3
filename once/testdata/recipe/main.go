// A program that has taken the module: two clicks with one key are one parcel.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"payonce/once"
	"payonce/once/idempotency"
	oncepq "payonce/once/pq"
	"payonce/once/schema"
)

func main() {
	ctx := context.Background()
	db, err := oncepq.Open(oncepq.Config{DSN: os.Args[1]})
	fatal(err)
	_, err = schema.Apply(ctx, db, "parcels")
	fatal(err)
	fatal(db.InTx(ctx, func(tx once.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE parcels.sent (at timestamptz NOT NULL DEFAULT now())`)
		return err
	}))
	keys, err := idempotency.New(idempotency.Config{
		DB: db, Table: idempotency.Table{Schema: "parcels"}, Secret: []byte("from the configuration"), TTL: 24 * time.Hour, Lease: 15 * time.Second,
	})
	fatal(err)
	for range 2 {
		request := idempotency.Request{Scope: "a tenant", Key: "one-click", Operation: "POST /parcels"}
		out, err := keys.Do(ctx, request, func(tx once.Tx) (idempotency.Answer, string, error) {
			_, err := tx.Exec(ctx, `INSERT INTO parcels.sent DEFAULT VALUES`)
			return idempotency.Answer{Status: 201, ContentType: "text/plain", Body: []byte("sent")}, "", err
		})
		fatal(err)
		fmt.Println(string(out.Answer.Body), "replayed:", out.Replayed)
	}
	var n int
	rows, err := db.Read(ctx, `SELECT count(*) FROM parcels.sent`)
	_, err = once.One(rows, err, &n)
	fatal(err)
	fmt.Println("parcels:", n)
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
