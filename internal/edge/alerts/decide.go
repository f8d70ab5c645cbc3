package alerts

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
)

// Whose limits a look to the alerts of one merchant; All is the operator, who
// also sees those that belong to no merchant.
type Whose struct {
	Merchant uuid.UUID
	All      bool
}

// Alert is one alert as a person reads it.
type Alert struct {
	ID          uuid.UUID      `db:"id"`
	Kind        string         `db:"kind"`
	Subject     string         `db:"subject"`
	Merchant    uuid.NullUUID  `db:"merchant_id"`
	State       string         `db:"state"`
	Facts       []byte         `db:"facts"`
	RaisedAt    time.Time      `db:"raised_at"`
	ResolvedAt  *time.Time     `db:"resolved_at"`
	ResolvedBy  sql.NullString `db:"resolved_by"`
	ResolvedWhy sql.NullString `db:"resolved_why"`
}

// Open says that the trouble has not ended.
func (a Alert) Open() bool { return a.State == "open" }

// KindOf is the alert's kind; ok is false for one that a newer version raised.
func (a Alert) KindOf() (k alert.Kind, ok bool) {
	all := Kinds()
	i := slices.IndexFunc(all, func(k alert.Kind) bool { return k.Name == a.Kind })
	if i < 0 {
		return alert.Kind{}, false
	}
	return all[i], true
}

// Action is what a person can do about an open alert at the alert itself.
type Action string

// The actions there are.
const (
	// Resolve ends an alert whose end no program can see.
	Resolve Action = "resolve"
	// SendMail queues a mail again that the mail server refused for good.
	SendMail Action = "send_mail"
)

// Possible lists what can be done about the alert now.
func (a Alert) Possible() []Action {
	k, known := a.KindOf()
	switch {
	case !a.Open() || !known:
		return nil
	case k.PersonEnds(a.Subject):
		return []Action{Resolve}
	case k == email.AlertFailed:
		return []Action{SendMail}
	}
	return nil
}

// Why an alert is not resolved as asked.
var (
	ErrNoAlert  = errors.New("there is no such alert")
	ErrResolved = errors.New("the alert is resolved")
)

// EndsOtherwiseError says that the asked-for way is not what ends this kind.
type EndsOtherwiseError struct{ Kind alert.Kind }

// Error implements error.
func (e *EndsOtherwiseError) Error() string {
	return "what ends an alert of the kind " + e.Kind.Name + ": " + e.Kind.EndedBy()
}

const columns = `id, kind, subject, merchant_id, state, facts, raised_at, resolved_at, resolved_by, resolved_why`

const listSQL = `
SELECT ` + columns + ` FROM alerts
 WHERE ($1::boolean OR merchant_id = $2) AND ($3::text = '' OR state = $3::text) AND ($4::uuid IS NULL OR id < $4::uuid)
 ORDER BY id DESC LIMIT $5`

// List reads alerts, newest first: those in state, or all when it is empty, that
// are older than before.
func List(ctx context.Context, db *postgres.DB, w Whose, state string, before uuid.NullUUID, limit int) (list []Alert, err error) {
	err = db.Select(ctx, &list, listSQL, w.All, w.Merchant, state, before, limit)
	return list, err
}

const foreignSQL = `
SELECT count(*) FROM alerts WHERE state = 'open' AND NOT $1::boolean AND merchant_id IS DISTINCT FROM $2`

// ForeignOpen counts the open alerts that w does not see.
func ForeignOpen(ctx context.Context, db *postgres.DB, w Whose) (n int64, err error) {
	err = db.Get(ctx, &n, foreignSQL, w.All, w.Merchant)
	return n, err
}

// Decision is who decides, and why.
type Decision struct{ Who, Why string }

const lockSQL = `
SELECT ` + columns + ` FROM alerts WHERE id = $1 AND ($2::boolean OR merchant_id = $3) FOR UPDATE`

// decide runs do for an alert that allows the action, under its lock.
func decide(ctx context.Context, db *postgres.DB, w Whose, id uuid.UUID, action Action, do func(tx postgres.Tx, a Alert) (Alert, error)) (a Alert, err error) {
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		switch err := tx.Get(ctx, &a, lockSQL, id, w.All, w.Merchant); {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNoAlert
		case err != nil:
			return err
		case !a.Open():
			return ErrResolved
		case !slices.Contains(a.Possible(), action):
			k, _ := a.KindOf()
			return &EndsOtherwiseError{Kind: k}
		}
		a, err = do(tx, a)
		return err
	})
	return a, err
}

const resolveSQL = `
UPDATE alerts SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = $2, resolved_why = $3
 WHERE id = $1 AND state = 'open'
RETURNING ` + columns

// ResolveByPerson ends an alert whose end no program can see. Should the trouble
// come again, it is another alert. The second time is [ErrResolved].
func ResolveByPerson(ctx context.Context, db *postgres.DB, w Whose, id uuid.UUID, d Decision) (Alert, error) {
	return decide(ctx, db, w, id, Resolve, func(tx postgres.Tx, a Alert) (Alert, error) {
		err := tx.Get(ctx, &a, resolveSQL, a.ID, d.Who, strings.TrimSpace(d.Why))
		return a, err
	})
}

const noteSQL = `
UPDATE alerts SET facts = facts || jsonb_build_object('sent_again',
    coalesce(facts -> 'sent_again', '[]') || jsonb_build_array(jsonb_build_object('by', $2::text, 'why', $3::text, 'to', $4::text, 'at', clock_timestamp())))
 WHERE id = $1
RETURNING ` + columns

// SendMailAgain queues the mail of an alert again, to another address unless that
// is empty. The alert stays open until the mail server has the mail; a second
// refusal raises it anew. Who decided and why is written into its facts.
func SendMailAgain(ctx context.Context, db *postgres.DB, w Whose, id uuid.UUID, address event.Address, d Decision) (Alert, error) {
	return decide(ctx, db, w, id, SendMail, func(tx postgres.Tx, a Alert) (Alert, error) {
		to, err := email.QueueAgain(ctx, tx, a.Subject, address)
		if errors.Is(err, email.ErrNotFailed) {
			return a, ErrResolved // it is queued already
		}
		if err != nil {
			return a, err
		}
		err = tx.Get(ctx, &a, noteSQL, a.ID, d.Who, strings.TrimSpace(d.Why), to)
		return a, err
	})
}
