package naive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
)

// prefix begins the name of a naive checkout; the provider knows by it whose
// account it is.
const prefix wire.Prefix = "nai_"

// One kind of ticket is sold, in one currency.
const (
	priceMinor = 4200
	currency   = "EUR"
)

// Trouble is something that happens once to one checkout.
type Trouble string

// The troubles there are.
const (
	// LoseAnswer hangs up on the buyer instead of answering.
	LoseAnswer Trouble = "lose-answer"
	// LoseProviderAnswer throws the provider's answer to a charge away.
	LoseProviderAnswer Trouble = "lose-provider-answer"
	// EndAfterCharge ends the request between the charge and the commit of it.
	EndAfterCharge Trouble = "end-after-charge"
	// EndBeforePublish ends the request between its commit and its publish.
	EndBeforePublish Trouble = "end-before-publish"
	// NoQueue sends a message to a routing key for which no queue is bound.
	NoQueue Trouble = "no-queue"
	// DeliverTwice sends a message twice.
	DeliverTwice Trouble = "deliver-twice"
	// LoseReply throws away the answer to "void the tickets".
	LoseReply Trouble = "lose-reply"
)

// checkout is a row of naive.checkouts.
type checkout struct {
	ID          uuid.UUID      `db:"id"`
	Merchant    uuid.UUID      `db:"merchant_id"`
	Guards      pq.StringArray `db:"guards"`
	Quantity    int            `db:"quantity"`
	AmountMinor int64          `db:"amount_minor"`
	Currency    string         `db:"currency"`
	Email       string         `db:"email"`
	Status      string         `db:"status"`
	Refund      string         `db:"refund"`
	Attempts    int            `db:"attempts"`
	ChargeID    sql.NullString `db:"charge_id"`
}

func (c checkout) name() string        { return prefix.ID(c.ID) }
func (c checkout) amount() money.Money { return money.Of(c.AmountMinor, c.Currency) }

func (c checkout) has(g Guard) bool {
	for _, name := range c.Guards {
		if name == string(g) {
			return true
		}
	}
	return false
}

const (
	placeSQL = `
INSERT INTO naive.checkouts (id, merchant_id, guards, quantity, amount_minor, currency, email)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
	troubleSQL = `INSERT INTO naive.troubles (checkout_id, trouble) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`
	loadSQL    = `
SELECT id, merchant_id, guards, quantity, amount_minor, currency, email, status, refund, attempts, charge_id
  FROM naive.checkouts WHERE id = $1 AND merchant_id = $2`
	strikeSQL = `DELETE FROM naive.troubles WHERE checkout_id = $1 AND trouble = $2`
)

// place makes a checkout with its guards, and with the troubles that await it.
func place(ctx context.Context, db *postgres.DB, merchant uuid.UUID, guards Set, quantity int, troubles ...Trouble) (checkout, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return checkout{}, err
	}
	c := checkout{
		ID: id, Merchant: merchant, Quantity: quantity, AmountMinor: priceMinor * int64(quantity), Currency: currency,
		Email: prefix.ID(id) + "@example.org", Status: "open", Refund: "none", Guards: pq.StringArray{},
	}
	for _, g := range guards {
		c.Guards = append(c.Guards, string(g))
	}
	awaiting := pq.StringArray{}
	for _, t := range troubles {
		awaiting = append(awaiting, string(t))
	}
	return c, postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, placeSQL, c.ID, merchant, c.Guards, quantity, c.AmountMinor, c.Currency, c.Email); err != nil {
			return fmt.Errorf("place a naive checkout: %w", err)
		}
		_, err := tx.Exec(ctx, troubleSQL, c.ID, awaiting)
		return err
	})
}

// errNoCheckout says that this merchant has no such checkout.
var errNoCheckout = errors.New("there is no such naive checkout")

func load(ctx context.Context, db postgres.Reader, merchant, id uuid.UUID) (c checkout, err error) {
	err = db.Get(ctx, &c, loadSQL, id, merchant)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoCheckout
	}
	return c, err
}

// strikes says, once for each trouble of a checkout, that it happens now. When
// the database does not answer nothing happens.
func strikes(ctx context.Context, db *postgres.DB, id uuid.UUID, t Trouble) bool {
	var n int64
	err := postgres.InTx(context.WithoutCancel(ctx), db, func(tx postgres.Tx) (err error) {
		n, err = tx.Exec(ctx, strikeSQL, id, string(t))
		return err
	})
	return err == nil && n == 1
}
