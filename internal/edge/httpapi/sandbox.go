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
//
// A token is made of an id and its MAC, so that a page needs no row for a visitor
// who only looks: it is written with the first request that could change something.
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

// standing is what the database says of a token whose MAC is right.
type standing int

const (
	unwritten standing = iota // nothing: the sandbox has not been used yet
	valid
	revoked
)

const (
	byKeySQL     = `SELECT api_key_hash = $1 FROM merchants WHERE id = $2`
	bySessionSQL = `SELECT session_hash = $1 FROM merchants WHERE id = $2`
)

func (s *sandboxes) standing(ctx context.Context, query, token string, id uuid.UUID) (standing, error) {
	hash := caller.Hash(token)
	s.mu.Lock()
	until, seen := s.seen[string(hash)]
	s.mu.Unlock()
	if seen && s.now().Before(until) {
		return valid, nil
	}
	var same []bool
	if err := s.db.Select(ctx, &same, query, hash, id); err != nil || len(same) == 0 {
		return unwritten, err
	}
	if !same[0] {
		return revoked, nil
	}
	s.believe(hash)
	return valid, nil
}

func (s *sandboxes) believe(hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxBelieved {
		clear(s.seen) // the next requests read once more
	}
	s.seen[string(hash)] = s.now().Add(believedFor)
}

// disbelieve makes this process read again. Others may believe a token that was
// revoked for as long as they remember it.
func (s *sandboxes) disbelieve(id uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, string(caller.Hash(s.tokens.APIKey(id))))
	delete(s.seen, string(caller.Hash(s.tokens.Session(id))))
}

const (
	newSandboxSQL = `INSERT INTO merchants (id, api_key_hash, session_hash) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`
	// revokeSQL leaves hashes that no token has.
	revokeSQL = `UPDATE merchants SET api_key_hash = $2, session_hash = $2 WHERE id = $1`
)

// write makes a sandbox's row. A lost answer leaves an empty one, which retention
// removes.
func (s *sandboxes) write(ctx context.Context, id uuid.UUID) error {
	return postgres.InTx(ctx, s.db, func(tx postgres.Tx) error { return s.insert(ctx, tx, id) })
}

func (s *sandboxes) insert(ctx context.Context, tx postgres.Tx, id uuid.UUID) error {
	_, err := tx.Exec(ctx, newSandboxSQL, id, caller.Hash(s.tokens.APIKey(id)), caller.Hash(s.tokens.Session(id)))
	return err
}

// create makes a new one. Version 4: the id is in the cookie, and says nothing of
// when it was made.
func (s *sandboxes) create(ctx context.Context) (uuid.UUID, error) {
	id := uuid.New()
	return id, s.write(ctx, id)
}

// replace makes a new one and revokes the tokens of the old one, whose rows stay.
func (s *sandboxes) replace(ctx context.Context, old uuid.UUID) (uuid.UUID, error) {
	id, nobodys := uuid.New(), uuid.New()
	defer s.disbelieve(old)
	return id, postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, revokeSQL, old, nobodys[:]); err != nil {
			return err
		}
		return s.insert(ctx, tx, id)
	})
}

func (s *sandboxes) view(id uuid.UUID) wire.Sandbox {
	return wire.Sandbox{
		MerchantID: wire.PrefixMerchant.ID(id), APIKey: s.tokens.APIKey(id),
		Email: "visitor-" + hex.EncodeToString(id[:4]) + "@example.org",
	}
}

// CreateSandbox is POST /v1/sandboxes.
func (s *server) CreateSandbox(ctx context.Context, _ gen.CreateSandboxRequestObject) (gen.CreateSandboxResponseObject, error) {
	if err := s.mayBegin(ctx); err != nil {
		return nil, err
	}
	id, err := s.sandboxes.create(detach(ctx))
	if err != nil {
		return nil, err
	}
	return sandboxCreated(s.sandboxes.view(id)), nil
}

// mayBegin refuses an address that makes too many sandboxes.
func (s *server) mayBegin(ctx context.Context) error {
	c, ok := ctx.(*gin.Context)
	if !ok {
		return nil
	}
	if wait, ok := s.newcomers.allow("ip "+s.client(c), c.Writer.Header()); !ok {
		return tooMany(wait)
	}
	return nil
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
// the visitor gets another merchant, whose books are empty, and other tokens; the
// old ones open nothing any more.
func (s *server) ResetSandbox(ctx context.Context, _ gen.ResetSandboxRequestObject) (gen.ResetSandboxResponseObject, error) {
	secure := false
	if c, ok := ctx.(*gin.Context); ok {
		secure = s.overTLS(c.Request)
	}
	if err := s.mayBegin(ctx); err != nil {
		return nil, err
	}
	ctx = detach(ctx)
	old, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	id, err := s.sandboxes.replace(ctx, old)
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
// Its key is good from now on, so its row is there.
func (s *server) GetCurrentSandbox(ctx context.Context, _ gen.GetCurrentSandboxRequestObject) (gen.GetCurrentSandboxResponseObject, error) {
	merchant, err := merchantOf(caller.From(detach(ctx)))
	if err != nil {
		return nil, err
	}
	if c, ok := ctx.(*gin.Context); ok && c.GetBool(unwrittenKey) {
		if err := s.begin(c, merchant); err != nil {
			return nil, err
		}
	}
	return gen.GetCurrentSandbox200JSONResponse(s.sandboxes.view(merchant)), nil
}

// setCookie gives a browser its sandbox with the first page. Nothing is written.
func (s *server) setCookie(c *gin.Context) {
	_, byCookie, _, err := s.recognise(cookieOnly(c.Request))
	if err == nil && byCookie {
		return
	} else if refusalOf(err).kind.Slug == wire.KindUnavailable.Slug {
		return // the page says that the database is away; its cookie may still be good
	}
	http.SetCookie(c.Writer, s.cookie(uuid.New(), s.overTLS(c.Request)))
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
