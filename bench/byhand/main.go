// Command byhand is a capture as its reader would write it: a gin handler on
// database/sql, three tables, and the call of the provider between two
// transactions. It keeps the promise while nothing fails (one charge for a key,
// the same answer again), and no more: whatever stops it between the two
// transactions leaves a key that runs without an end. It is the floor that a reader has
// in mind, so it has nothing of payonce, and what makes it fast.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	_ "github.com/lib/pq"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err) //nolint:gocritic // the signals end with the process
	}
}

func run(ctx context.Context) error {
	db, err := sql.Open("postgres", os.Getenv("BYHAND_DSN"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	const pool = 16
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return err
	}
	h := &handler{db: db, provider: os.Getenv("BYHAND_PROVIDER"), client: &http.Client{
		Timeout: 4 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * pool},
	}}
	if err := h.prepare(ctx); err != nil {
		return err
	}
	to, err := connect(os.Getenv("BYHAND_AMQP"))
	if err != nil {
		return err
	}
	defer func() { _ = to.conn.Close() }()
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(gin.Recovery())
	e.GET("/readyz", func(c *gin.Context) { c.Status(http.StatusOK) })
	e.POST("/steps/v1/payments/:id/capture", h.capture(h.steps()))
	e.POST("/folded/v1/payments/:id/capture", h.capture(h.folded()))
	e.POST("/naive/v1/payments/:id/capture", naive{h, to}.capture)
	e.POST("/look/v1/payments/:id/capture", h.lookUp)
	server := &http.Server{Addr: os.Getenv("BYHAND_LISTEN"), Handler: e, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// tables are what the promise needs.
const tables = `
CREATE SCHEMA IF NOT EXISTS byhand;
CREATE TABLE IF NOT EXISTS byhand.payments (
  id uuid PRIMARY KEY, merchant_id uuid NOT NULL, amount_minor bigint NOT NULL, currency text NOT NULL, status text NOT NULL DEFAULT 'requires_capture',
  attempt_no integer NOT NULL DEFAULT 0, charge_id text, captured_at timestamptz);
CREATE TABLE IF NOT EXISTS byhand.keys (
  key text PRIMARY KEY, request_hash bytea NOT NULL, status integer, body bytea, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS byhand.events (
  id bigserial PRIMARY KEY, payment_id uuid NOT NULL, type text NOT NULL, payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz);
CREATE INDEX IF NOT EXISTS events_unpublished ON byhand.events (id) WHERE published_at IS NULL`

// handler captures payments.
type handler struct {
	db       *sql.DB
	provider string
	client   *http.Client

	insertKey, lookKey, claim, charged, event, answer, claimFolded, finishFolded, update *sql.Stmt
}

func (h *handler) prepare(ctx context.Context) error {
	const move = `UPDATE byhand.payments SET status = 'capturing', attempt_no = attempt_no + 1
	  WHERE id = $1::uuid AND amount_minor = $2 AND currency = $3 AND status IN ('requires_capture', 'declined') RETURNING attempt_no`
	for to, text := range map[**sql.Stmt]string{
		&h.insertKey: `INSERT INTO byhand.keys (key, request_hash) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`,
		&h.lookKey:   `SELECT request_hash, status, body FROM byhand.keys WHERE key = $1`,
		&h.claim:     move,
		&h.charged:   `UPDATE byhand.payments SET status = 'captured', charge_id = $2, captured_at = $3 WHERE id = $1::uuid AND status = 'capturing'`,
		&h.event:     `INSERT INTO byhand.events (payment_id, type, payload) VALUES ($1::uuid, 'payment.captured', $2)`,
		&h.answer:    `UPDATE byhand.keys SET status = $2, body = $3 WHERE key = $1`,
		&h.update:    `UPDATE byhand.payments SET status = 'captured', charge_id = $2, captured_at = now(), attempt_no = 1 WHERE id = $1::uuid`,
		&h.claimFolded: `WITH p AS (` + move + `), k AS (INSERT INTO byhand.keys (key, request_hash) SELECT $4, $5 FROM p)
		  SELECT attempt_no FROM p`,
		&h.finishFolded: `WITH p AS (UPDATE byhand.payments SET status = 'captured', charge_id = $2, captured_at = $3 WHERE id = $1::uuid AND status = 'capturing' RETURNING id),
		  e AS (INSERT INTO byhand.events (payment_id, type, payload) SELECT id, 'payment.captured', $4::jsonb FROM p)
		  UPDATE byhand.keys SET status = $6, body = $7 FROM p WHERE key = $5`,
	} {
		s, err := h.db.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		*to = s
	}
	return nil
}

// order is the body of a request, and payment with it what it is about.
type order struct {
	AmountMinor int64  `json:"amount_minor" binding:"required,gt=0"`
	Currency    string `json:"currency" binding:"required,len=3"`
	CardToken   string `json:"card_token" binding:"required"`

	payment, key string
	hash         []byte
}

// form is a way to write the two transactions.
type form struct {
	claim  func(ctx context.Context, o order) (attempt int, err error)
	finish func(ctx context.Context, o order, c charge, at time.Time, payload, body []byte) error
}

var (
	errTaken   = errors.New("the key is there already")
	errRefused = errors.New("the payment cannot be captured by this request")
)

// read is the request; what it cannot read is answered already.
func read(c *gin.Context) (order, error) {
	o := order{payment: strings.TrimPrefix(c.Param("id"), "pay_"), key: c.GetHeader("Idempotency-Key")}
	err := c.ShouldBindJSON(&o)
	if err == nil && o.key == "" {
		err = errors.New("no key")
	}
	if err != nil {
		c.JSON(http.StatusBadRequest, gin.H{"error": "a key, amount_minor, currency and card_token are needed"})
	}
	return o, err
}

func (h *handler) capture(f form) gin.HandlerFunc {
	return func(c *gin.Context) {
		o, err := read(c)
		if err != nil {
			return
		}
		hash := sha256.Sum256([]byte(o.payment + "|" + strconv.FormatInt(o.AmountMinor, 10) + "|" + o.Currency + "|" + o.CardToken))
		o.hash = hash[:]
		ctx := c.Request.Context()
		attempt, err := f.claim(ctx, o)
		switch {
		case errors.Is(err, errTaken):
			h.replay(c, o)
			return
		case errors.Is(err, errRefused):
			c.JSON(http.StatusConflict, gin.H{"error": err.Error()})
			return
		case err != nil:
			c.JSON(http.StatusServiceUnavailable, gin.H{"error": "try again"})
			return
		}
		body, err := h.charge(ctx, f, o, attempt)
		if err != nil {
			c.JSON(http.StatusBadGateway, gin.H{"error": "the outcome is not known"})
			return
		}
		c.Data(http.StatusOK, "application/json", body)
	}
}

// replay answers with what is stored.
func (h *handler) replay(c *gin.Context, o order) {
	var hash, body []byte
	var status sql.NullInt32
	err := h.lookKey.QueryRowContext(c.Request.Context(), o.key).Scan(&hash, &status, &body)
	switch {
	case err != nil:
		c.JSON(http.StatusServiceUnavailable, gin.H{"error": "try again"})
	case !bytes.Equal(hash, o.hash):
		c.JSON(http.StatusUnprocessableEntity, gin.H{"error": "the key belongs to another request"})
	case !status.Valid:
		c.JSON(http.StatusConflict, gin.H{"error": "a request with this key is running"})
	default:
		c.Data(int(status.Int32), "application/json", body)
	}
}

type charge struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// charge asks the provider and stores what came of it.
func (h *handler) charge(ctx context.Context, f form, o order, attempt int) ([]byte, error) {
	made, err := h.ask(ctx, o, attempt)
	if err != nil {
		return nil, err
	}
	at := time.Now().UTC()
	payload, body, err := o.texts(attempt, made, at)
	if err != nil {
		return nil, err
	}
	return body, f.finish(ctx, o, made, at, payload, body)
}

// ask charges the card.
func (h *handler) ask(ctx context.Context, o order, attempt int) (made charge, err error) {
	ask, err := json.Marshal(map[string]any{"reference": o.reference(), "amount_minor": o.AmountMinor, "currency": o.Currency, "card_token": o.CardToken})
	if err != nil {
		return made, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.provider+"/v1/charges", bytes.NewReader(ask))
	if err != nil {
		return made, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "capture:"+o.reference()+":"+strconv.Itoa(attempt))
	resp, err := h.client.Do(req)
	if err != nil {
		return made, err
	}
	err = json.NewDecoder(resp.Body).Decode(&made)
	_ = resp.Body.Close()
	if err != nil || made.Status != "succeeded" {
		return made, fmt.Errorf("the provider answered %s (%w)", resp.Status, err)
	}
	return made, nil
}

func (o order) reference() string { return "pay_" + o.payment }

// texts are an event's payload about a charge, and the answer.
func (o order) texts(attempt int, made charge, at time.Time) (payload, body []byte, err error) {
	payload, err = json.Marshal(map[string]any{
		"payment_id": o.reference(), "attempt_no": attempt, "amount_minor": o.AmountMinor, "currency": o.Currency, "charge_id": made.ID, "captured_at": at,
	})
	if err != nil {
		return nil, nil, err
	}
	body, err = json.Marshal(map[string]any{
		"id": o.reference(), "status": "captured", "amount_minor": o.AmountMinor, "currency": o.Currency, "charge_id": made.ID, "captured_at": at,
	})
	return payload, body, err
}
