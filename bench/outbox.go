package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// appendLine compares what an event costs the transaction that writes it, by the
// outbox's tables.
func appendLine(h *house, clients int) line {
	t := &tables{house: h}
	l := line{
		Name: "outbox-append", Title: fmt.Sprintf("Outbox tables, one event a transaction, %d clients", clients), Unit: "events per second", Half: 2,
		Notes: []string{"The same columns, payload and day partitions in each; a transaction writes the event and nothing else, so that the difference is the tables' and is larger than a capture's."},
		Open:  t.open,
	}
	for _, s := range shapes {
		l.Contenders = append(l.Contenders, contender{Name: s.name, Title: s.title, Slice: func(ctx context.Context, c *clock) error { return t.appended(ctx, s, clients, c) }})
	}
	l.Ratios = ratiosOfShapes()
	return l
}

// drainLine compares what reading an event for the relay and marking it costs.
func drainLine(h *house) line {
	t := &tables{house: h}
	l := line{
		Name: "outbox-drain", Title: "Outbox tables, pages of 500 read and marked", Unit: "events per second", Half: 2,
		Notes: []string{"The relay's two statements, with a position in each partition, and no broker."},
		Open:  t.open,
	}
	for _, s := range shapes {
		l.Contenders = append(l.Contenders, contender{Name: s.name, Title: s.title, Slice: func(ctx context.Context, c *clock) error { return t.drained(ctx, s, c) }})
	}
	l.Ratios = ratiosOfShapes()
	return l
}

// ratiosOfShapes ask whether another shape is at least as fast as the shop's.
func ratiosOfShapes() (all []ratio) {
	for _, s := range shapes[1:] {
		all = append(all, ratio{Of: s.name, To: shapes[0].name, Target: 1})
	}
	return all
}

// tables is what these lines need while they run.
type tables struct {
	*house
	merchant uuid.UUID
	payload  []byte
	trace    string
	rate     float64
}

func (o *tables) open(ctx context.Context) (end func() error, err error) {
	end = func() error {
		_, err := o.db.ExecContext(context.WithoutCancel(ctx), `DROP SCHEMA IF EXISTS shapes CASCADE`)
		return err
	}
	if o.merchant, o.payload, o.trace, err = example(); err != nil {
		return end, err
	}
	statements := []string{`DROP SCHEMA IF EXISTS shapes CASCADE`, `CREATE SCHEMA shapes`, `SET LOCAL search_path = shapes, public`, `CREATE SEQUENCE shape_seq`}
	for _, s := range shapes {
		statements = append(statements, s.tables...)
	}
	tx, err := o.db.BeginTx(ctx, nil) //nolint:forbidigo // no business is done here
	if err != nil {
		return end, err
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return end, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return end, tx.Commit()
}

// session is a connection that finds the shapes' tables.
func (o *tables) session(ctx context.Context) (*sql.Conn, error) {
	c, err := o.db.Conn(ctx)
	if err == nil {
		_, err = c.ExecContext(ctx, `SET search_path = shapes, public`)
	}
	return c, err
}

// appended has clients write events, each in a transaction of its own.
func (o *tables) appended(ctx context.Context, s shape, clients int, t *clock) error {
	sessions, statements := make([]*sql.Conn, clients), make([]*sql.Stmt, clients)
	for i := range sessions {
		var err error
		if sessions[i], err = o.session(ctx); err != nil {
			return err
		}
		defer func() { _ = sessions[i].Close() }()
		if statements[i], err = sessions[i].PrepareContext(ctx, s.append); err != nil { //nolint:sqlclosecheck // it ends with its connection
			return err
		}
	}
	done, problems := make([]int, clients), make([]error, clients)
	if err := t.startWithLog(ctx, o.db); err != nil {
		return err
	}
	end := time.Now().Add(t.length)
	var working sync.WaitGroup
	for i, statement := range statements {
		working.Go(func() {
			for time.Now().Before(end) && problems[i] == nil {
				aggregate := uuid.New()
				_, problems[i] = statement.ExecContext(ctx, uuid.Must(uuid.NewV7()), o.merchant, uuid.New(), aggregate, oneQueue.eventType, o.payload, o.trace, int(aggregate[0])%16)
				done[i]++
			}
		})
	}
	working.Wait()
	written := 0
	for _, n := range done {
		written += n
	}
	if err := errors.Join(append(problems, t.stopWithLog(ctx, o.db, written))...); err != nil {
		return err
	}
	return o.leave(ctx, s, written, 0)
}

// drained reads and marks what was written before, page by page.
func (o *tables) drained(ctx context.Context, s shape, t *clock) error {
	const firstGuess, page, partitions = 8000, 500, 16
	n := int(max(o.rate, firstGuess) * t.length.Seconds())
	c, err := o.session(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.ExecContext(ctx, s.fill, n, o.merchant, oneQueue.eventType, o.payload, o.trace); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, `ANALYZE`); err != nil {
		return err
	}
	asked, after := make([]int64, partitions), make([]int64, partitions)
	for i := range asked {
		asked[i] = int64(i)
	}
	if err := t.startWithLog(ctx, o.db); err != nil {
		return err
	}
	marked := 0
	for {
		rows, err := pageOf(ctx, c, s.fetch, asked, after, page)
		if err != nil {
			return err
		}
		if len(rows.ids) == 0 {
			break
		}
		if _, err := c.ExecContext(ctx, s.mark, pq.Array(rows.partitions), pq.Array(rows.seqs), pq.Array(rows.ids), slices.Min(rows.ids), slices.Max(rows.ids)); err != nil {
			return err
		}
		for i, p := range rows.partitions {
			after[p] = max(after[p], rows.seqs[i])
		}
		marked += len(rows.ids)
	}
	if err := t.stopWithLog(ctx, o.db, marked); err != nil {
		return err
	}
	o.rate = max(o.rate, float64(marked)/t.took.Seconds())
	if marked != n {
		return fmt.Errorf("%d of %d events were read", marked, n)
	}
	return o.leave(ctx, s, 0, n)
}

// read is a page in the form in which it is marked.
type read struct {
	partitions, seqs []int64
	ids              []string
}

func pageOf(ctx context.Context, c *sql.Conn, fetch string, asked, after []int64, limit int) (p read, err error) {
	rows, err := c.QueryContext(ctx, fetch, pq.Array(asked), pq.Array(after), limit)
	if err != nil {
		return p, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, event, merchant, correlation, aggregate string
		var kind, trace string
		var payload []byte
		var version, partition, seq int64
		var at time.Time
		if err := rows.Scan(&id, &event, &merchant, &correlation, &aggregate, &version, &kind, &payload, &trace, &partition, &seq, &at); err != nil {
			return p, err
		}
		p.partitions, p.seqs, p.ids = append(p.partitions, partition), append(p.seqs, seq), append(p.ids, id)
	}
	return p, rows.Err()
}

// leave verifies how many events wait and how many have a time, and empties the
// tables: each slice meets the same.
func (o *tables) leave(ctx context.Context, s shape, waiting, published int) error {
	c, err := o.session(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for query, want := range map[string]int{s.waiting: waiting, s.published: published} {
		var n int
		if query == "" {
			continue // no time is kept
		}
		if err := c.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return err
		}
		if n != want {
			return fmt.Errorf("%s: %d, not %d", query, n, want)
		}
	}
	for _, statement := range append(slices.Clone(s.emptied), `ANALYZE`) {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
