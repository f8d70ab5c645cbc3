package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"payonce/once"
	oncepq "payonce/once/pq"
)

// Tx is an open transaction. It is sealed: only [InTx] makes one and only
// [InTx] ends it, so "callable only inside a transaction" is a type.
type Tx interface {
	once.Tx
	Reader
	sealed()
}

// InTx runs fn inside one transaction and commits it.
//
// After nil everything fn wrote is durable. After an error nothing is, except
// that [once.ErrCommitUnknown] leaves the question open. A panic rolls back and goes
// on. Serialization failures and deadlocks are retried up to five times, so fn
// MAY RUN MORE THAN ONCE: it must not touch anything outside tx, and it must
// set its results anew on each run. Never call the network inside fn, and never
// use the pool inside fn: with a pool of one that waits for itself for ever.
func InTx(ctx context.Context, db *DB, fn func(tx Tx) error) error {
	return db.pool.Transact(ctx, func(t *oncepq.Tx) error { return fn(tx{t}) })
}

// Reading is the transaction that a pattern was given, or began on [DB.Once], with what
// [Tx] has beside it. It panics for a transaction of another adapter, which has no such thing.
func Reading(pattern once.Tx) Tx {
	if house, is := pattern.(Tx); is {
		return house
	}
	own, is := pattern.(*oncepq.Tx)
	if !is {
		panic("postgres: the transaction is not one of this pool")
	}
	return tx{own}
}

// tx reads rows into structs beside what its adapter does.
type tx struct{ *oncepq.Tx }

func (tx) sealed() {}

func (t tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	if s := t.Prepared(ctx, query); s != nil {
		return prepared(s).GetContext(ctx, dest, args...)
	}
	return t.unprepared().GetContext(ctx, dest, query, args...)
}

func (t tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	if s := t.Prepared(ctx, query); s != nil {
		return prepared(s).SelectContext(ctx, dest, args...)
	}
	return t.unprepared().SelectContext(ctx, dest, query, args...)
}

func (t tx) unprepared() *sqlx.Tx { return &sqlx.Tx{Tx: t.Raw(), Mapper: columns} }
