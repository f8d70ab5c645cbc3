package httpapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
)

// sandboxes knows which merchants exist. It remembers those it has seen for a
// while, so that a replay stays one indexed read.
type sandboxes struct {
	db     *postgres.DB
	tokens *caller.Tokens
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]time.Time // hash of the token → until when it is believed
}

const (
	believedFor = time.Minute
	maxBelieved = 20_000
)

func newSandboxes(db *postgres.DB, tokens *caller.Tokens, now func() time.Time) *sandboxes {
	return &sandboxes{db: db, tokens: tokens, now: now, seen: map[string]time.Time{}}
}

const (
	byKeySQL     = `SELECT count(*) FROM merchants WHERE api_key_hash = $1 AND id = $2`
	bySessionSQL = `SELECT count(*) FROM merchants WHERE session_hash = $1 AND id = $2`
)

// known asks whether the token, whose MAC is right, is also one that the
// database has.
func (s *sandboxes) known(ctx context.Context, query, token string, id uuid.UUID) (bool, error) {
	hash := caller.Hash(token)
	s.mu.Lock()
	until, seen := s.seen[string(hash)]
	s.mu.Unlock()
	if seen && s.now().Before(until) {
		return true, nil
	}
	var n int
	if err := s.db.Get(ctx, &n, query, hash, id); err != nil || n == 0 {
		return false, err
	}
	s.believe(hash)
	return true, nil
}

func (s *sandboxes) believe(hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxBelieved {
		clear(s.seen) // the next requests read once more
	}
	s.seen[string(hash)] = s.now().Add(believedFor)
}

const newSandboxSQL = `INSERT INTO merchants (id, api_key_hash, session_hash) VALUES ($1, $2, $3)`

// create makes a sandbox. A lost answer leaves an empty sandbox that nobody
// knows of, which harms nobody.
func (s *sandboxes) create(ctx context.Context) (uuid.UUID, error) {
	// Version 4: the id is in the cookie, and tells nobody when it was made.
	id := uuid.New()
	err := postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, newSandboxSQL, id, caller.Hash(s.tokens.APIKey(id)), caller.Hash(s.tokens.Session(id)))
		return err
	})
	return id, err
}

func (s *sandboxes) view(id uuid.UUID) wire.Sandbox {
	return wire.Sandbox{
		MerchantID: wire.PrefixMerchant.ID(id), APIKey: s.tokens.APIKey(id),
		Email: "visitor-" + hex.EncodeToString(id[:4]) + "@example.org",
	}
}

// CreateSandbox is POST /v1/sandboxes.
func (s *server) CreateSandbox(ctx context.Context, _ gen.CreateSandboxRequestObject) (gen.CreateSandboxResponseObject, error) {
	ctx = detach(ctx)
	id, err := s.sandboxes.create(ctx)
	if err != nil {
		return nil, err
	}
	return sandboxCreated(s.sandboxes.view(id)), nil
}

// sandboxCreated leaves X-Request-Id to the middleware that set it.
type sandboxCreated wire.Sandbox

// VisitCreateSandboxResponse implements gen.CreateSandboxResponseObject.
func (v sandboxCreated) VisitCreateSandboxResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", wire.JSON)
	w.WriteHeader(http.StatusCreated)
	_, err := w.Write(wire.Encode(wire.Sandbox(v)))
	return err
}

// ResetSandbox is POST /v1/sandboxes/current/reset. Evidence is never deleted:
// the visitor gets another merchant, whose books are empty.
func (s *server) ResetSandbox(ctx context.Context, _ gen.ResetSandboxRequestObject) (gen.ResetSandboxResponseObject, error) {
	secure := false
	if c, ok := ctx.(*gin.Context); ok {
		secure = s.overTLS(c.Request)
	}
	ctx = detach(ctx)
	if _, err := merchantOf(caller.From(ctx)); err != nil {
		return nil, err
	}
	id, err := s.sandboxes.create(ctx)
	if err != nil {
		return nil, err
	}
	return sandboxReset{view: sandboxCreated(s.sandboxes.view(id)), cookie: s.cookie(id, secure)}, nil
}

type sandboxReset struct {
	view   sandboxCreated
	cookie *http.Cookie
}

// VisitResetSandboxResponse implements gen.ResetSandboxResponseObject.
func (r sandboxReset) VisitResetSandboxResponse(w http.ResponseWriter) error {
	http.SetCookie(w, r.cookie)
	return r.view.VisitCreateSandboxResponse(w)
}

// GetCurrentSandbox is GET /v1/sandboxes/current.
func (s *server) GetCurrentSandbox(ctx context.Context, _ gen.GetCurrentSandboxRequestObject) (gen.GetCurrentSandboxResponseObject, error) {
	merchant, err := merchantOf(caller.From(detach(ctx)))
	if err != nil {
		return nil, err
	}
	return gen.GetCurrentSandbox200JSONResponse(s.sandboxes.view(merchant)), nil
}

// setCookie gives a browser its sandbox with the first page.
func (s *server) setCookie(w http.ResponseWriter, r *http.Request) {
	if _, byCookie, err := s.recognise(cookieOnly(r)); err == nil && byCookie {
		return
	} else if refusalOf(err).kind.Slug == wire.KindUnavailable.Slug {
		return // the page says that the database is away; its cookie may still be good
	}
	if wait, ok := s.limits.allow("ip "+remoteIP(r), w.Header()); !ok {
		w.Header().Set("Retry-After", seconds(wait))
		return
	}
	id, err := s.sandboxes.create(r.Context())
	if err != nil {
		s.Log.Warn("no sandbox for a visitor", "request_id", requestID(r.Context()), "error", err)
		return
	}
	http.SetCookie(w, s.cookie(id, s.overTLS(r)))
}

func (s *server) cookie(id uuid.UUID, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: s.tokens.Session(id), Path: "/", MaxAge: 90 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	}
}

func cookieOnly(r *http.Request) *http.Request {
	bare := r.Clone(r.Context())
	bare.Header.Del("Authorization")
	return bare
}
