// Package alert keeps what a person has to look at: one table, one id scheme
// that sorts by time, and kinds that say what they mean, what to do and what
// ends them.
//
// An alert is raised in the transaction that found the trouble and resolved in
// the one that ended it, so neither outlives a rollback. While one is open, the
// same kind about the same subject is not raised again. Its facts hold what the
// decision needs. An alert about money names the provider's object, the amount in
// minor units and the currency under the names of [Money]: the audit excuses that
// difference and no other.
//
// Each owner declares its kinds as values; internal/edge/alerts lists them all,
// and the table refuses a kind that is not in the list.
package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/postgres"
	"payonce/once"
)

// Kind is a sort of trouble.
type Kind struct {
	// Name is stored and published.
	Name string
	// Means is what the alert says and Remedy what a person does about it.
	Means, Remedy string
	// Ends is what resolves it without being asked. Where nothing here sees each
	// end of the trouble, a person may end it too.
	Ends     string
	ByPerson bool
	// PersonAbout begins the subjects for which ByPerson holds where it does not hold for
	// all of the kind.
	PersonAbout string
}

// PersonEnds says whether a person may end the kind's alert about a subject.
func (k Kind) PersonEnds(subject string) bool {
	return k.ByPerson || k.PersonAbout != "" && strings.HasPrefix(subject, k.PersonAbout)
}

// EndedBy is what resolves an alert of this kind, for people. With what the kind
// means and what to do it is a row of docs/production.md.
func (k Kind) EndedBy() string {
	const person = "a person, with a reason: `POST /v1/ops/alerts/{id}/resolve`"
	switch {
	case k.PersonAbout != "":
		return k.Ends + "; about `" + k.PersonAbout + "…` also " + person
	case !k.ByPerson:
		return k.Ends
	case k.Ends != "":
		return k.Ends + "; or " + person
	}
	return person
}

// Money is the part of an alert's facts that names a difference of money: which
// object of the provider, and over how much.
type Money struct {
	Object      string `json:"object"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// Of is a kind of trouble of a pattern as a kind of alert.
func Of(k once.TroubleKind) Kind {
	return Kind{Name: k.Name, Means: k.Means, Remedy: k.Remedy, Ends: k.Ends}
}

// Troubles is where the patterns raise alerts.
type Troubles struct{}

var _ once.Troubles = Troubles{}

// Raise implements [once.Troubles].
func (Troubles) Raise(ctx context.Context, tx once.Tx, t once.Trouble) error {
	merchant := uuid.Nil
	if t.Scope != "" {
		var err error
		if merchant, err = uuid.Parse(t.Scope); err != nil {
			return err
		}
	}
	return Of(t.Kind).Raise(ctx, postgres.Reading(tx), merchant, t.Subject, t.Facts)
}

// Open implements [once.Troubles].
func (Troubles) Open(ctx context.Context, tx once.Tx, kinds ...once.TroubleKind) (subjects []string, err error) {
	err = postgres.Reading(tx).Select(ctx, &subjects, openSQL, pq.Array(names(ofTrouble(kinds))))
	return subjects, err
}

// End implements [once.Troubles].
func (Troubles) End(ctx context.Context, tx once.Tx, subject string, kinds ...once.TroubleKind) error {
	_, err := Resolve(ctx, postgres.Reading(tx), subject, ofTrouble(kinds)...)
	return err
}

func ofTrouble(kinds []once.TroubleKind) []Kind {
	list := make([]Kind, len(kinds))
	for i, k := range kinds {
		list[i] = Of(k)
	}
	return list
}

const raiseSQL = `
INSERT INTO alerts (id, merchant_id, kind, subject, facts) VALUES ($1, $2, $3, $4, $5::jsonb)
ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING`

// Raise raises an alert unless the same one is open. The zero merchant means that
// only the operator sees it. Facts is any value that is an object in JSON.
func (k Kind) Raise(ctx context.Context, tx postgres.Tx, merchant uuid.UUID, subject string, facts any) error {
	return k.put(ctx, tx, raiseSQL, merchant, subject, facts)
}

const keepSQL = `
INSERT INTO alerts (id, merchant_id, kind, subject, facts) VALUES ($1, $2, $3, $4, $5::jsonb)
ON CONFLICT (kind, subject) WHERE state = 'open' DO UPDATE SET facts = excluded.facts`

// Keep is Raise, and gives an alert that is open the facts of now.
func (k Kind) Keep(ctx context.Context, tx postgres.Tx, merchant uuid.UUID, subject string, facts any) error {
	return k.put(ctx, tx, keepSQL, merchant, subject, facts)
}

func (k Kind) put(ctx context.Context, tx postgres.Tx, query string, merchant uuid.UUID, subject string, facts any) error {
	text, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7() // so that a list by id is a list by time
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, query, id, uuid.NullUUID{UUID: merchant, Valid: merchant != uuid.Nil}, k.Name, subject, string(text))
	return err
}

// RaiseAlone raises an alert in a transaction of its own: for trouble that was
// found outside one.
func (k Kind) RaiseAlone(ctx context.Context, db *postgres.DB, merchant uuid.UUID, subject string, facts any) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error { return k.Raise(ctx, tx, merchant, subject, facts) })
}

const resolveSQL = `
UPDATE alerts SET state = 'resolved', resolved_at = clock_timestamp()
 WHERE state = 'open' AND subject = $1 AND kind = ANY ($2)`

// Resolve ends what is open about a subject and says how many alerts it were.
func Resolve(ctx context.Context, tx postgres.Tx, subject string, kinds ...Kind) (int64, error) {
	return tx.Exec(ctx, resolveSQL, subject, pq.Array(names(kinds)))
}

// A second run finds no open alert.
var resolveAlone = postgres.Guarded("alert.resolve", resolveSQL)

// ResolveAlone ends what is open about a subject, outside any transaction.
func ResolveAlone(ctx context.Context, db *postgres.DB, subject string, kinds ...Kind) error {
	_, err := resolveAlone.Exec(ctx, db, subject, pq.Array(names(kinds)))
	return err
}

// ResolveWhere ends each open alert of the kind for whose subject a condition in
// SQL holds. The condition's arguments count from $2.
func (k Kind) ResolveWhere(ctx context.Context, tx postgres.Tx, condition string, args ...any) error {
	_, err := tx.Exec(ctx, `UPDATE alerts SET state = 'resolved', resolved_at = clock_timestamp() WHERE state = 'open' AND kind = $1 AND `+condition,
		append([]any{k.Name}, args...)...)
	return err
}

// ResolveFrom is Resolve as a part of a folded statement: it ends the alerts
// whose subject is an expression over the rows of cte. More conditions may follow
// it; the alert is called l there.
func ResolveFrom(cte, subject string, kinds ...Kind) string {
	return `UPDATE alerts l SET state = 'resolved', resolved_at = clock_timestamp() FROM ` + cte +
		` WHERE l.state = 'open' AND l.kind IN ('` + strings.Join(names(kinds), `', '`) + `') AND l.subject = ` + subject
}

func names(kinds []Kind) []string {
	list := make([]string, 0, len(kinds))
	for _, k := range kinds {
		list = append(list, k.Name)
	}
	return list
}

const openSQL = `SELECT subject FROM alerts WHERE state = 'open' AND kind = ANY ($1)`

// Open lists the subjects with an open alert of these kinds.
func Open(ctx context.Context, db *postgres.DB, kinds ...Kind) (subjects []string, err error) {
	err = db.Select(ctx, &subjects, openSQL, pq.Array(names(kinds)))
	return subjects, err
}

const oldestSQL = `SELECT min(raised_at) FROM alerts WHERE state = 'open' AND kind = ANY ($1)`

// Oldest is when the oldest open alert of these kinds was raised; valid is false where
// none is open.
func Oldest(ctx context.Context, db *postgres.DB, kinds ...Kind) (at sql.NullTime, err error) {
	err = db.Get(ctx, &at, oldestSQL, pq.Array(names(kinds)))
	return at, err
}

const countSQL = `SELECT count(*) FROM alerts WHERE state = 'open' AND subject = $1 AND kind = ANY ($2)`

// Count counts what is open about a subject.
func Count(ctx context.Context, db *postgres.DB, subject string, kinds ...Kind) (n int, err error) {
	err = db.Get(ctx, &n, countSQL, subject, pq.Array(names(kinds)))
	return n, err
}

const namesSQL = `SELECT EXISTS (SELECT FROM alerts WHERE facts->>'object' = $1)`

// Names says whether an alert was ever about an object of the provider.
func Names(ctx context.Context, tx postgres.Tx, object string) (named bool, err error) {
	err = tx.Get(ctx, &named, namesSQL, object)
	return named, err
}
