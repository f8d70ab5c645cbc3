package httpapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/once/idempotency"
)

// MaxBody bounds a request body.
const MaxBody = 64 << 10

type contextKey int

const (
	requestIDKey contextKey = iota
	idempotencyKeyKey
	attemptKey
	webhookKey
)

// These are in gin's own map and end with the handler.
const (
	operationKey = "payonce.operation"
	bodyKey      = "payonce.body"
	unwrittenKey = "payonce.unwritten"
)

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// key is the request's Idempotency-Key without its quotes.
func key(ctx context.Context) string {
	k, _ := ctx.Value(idempotencyKeyKey).(string)
	return k
}

func bodyOf(c *gin.Context) []byte {
	b, _ := c.Get(bodyKey)
	all, _ := b.([]byte)
	return all
}

func operationOf(c *gin.Context) *operation {
	op, _ := c.Get(operationKey)
	known, _ := op.(*operation)
	return known
}

func with(c *gin.Context, k contextKey, v any) {
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), k, v))
}

// exposed are the headers that a page of another origin may read.
const exposed = "Idempotency-Key, Idempotent-Replayed, Payonce-Matched, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Allow"

// permissions are what no page of this server asks a browser for.
const permissions = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

// shared says whether pages of other origins may read what is at a path: the API,
// with a key, and never the laboratory.
func shared(path string) bool {
	return strings.HasPrefix(path, "/v1/") && path != "/v1/lab" && !strings.HasPrefix(path, "/v1/lab/")
}

// identify gives each request its id and its trace, and each answer the headers
// that all of them have.
func (s *server) identify(c *gin.Context) {
	began := s.Now()
	id := uuid.Must(uuid.NewV7())
	name := "req_" + hex.EncodeToString(id[:])
	with(c, requestIDKey, name)
	ctx, span := startTrace(c.Request.Context(), c.FullPath())
	defer span.End()
	c.Request = c.Request.WithContext(wire.WithInstance(ctx, c.Request.URL.Path))
	h := c.Writer.Header()
	h.Set("X-Request-Id", name)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	if shared(c.Request.URL.Path) {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", exposed)
	} else {
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	if given := c.Request.Header.Values("Idempotency-Key"); c.Request.Method == http.MethodPost && len(given) == 1 {
		h.Set("Idempotency-Key", given[0])
	}
	c.Next()
	s.metrics.observe(c, s.Now().Sub(began))
}

// describe finds the contract's description of the route.
func (s *server) describe(c *gin.Context) {
	op := s.contract.operation(c.Request.Method, c.FullPath())
	if op == nil {
		s.refuse(c, errors.New("a route that the contract does not describe"))
		return
	}
	c.Set(operationKey, op)
}

// sized reads the body, at most 64 KiB of it: 413.
func (s *server) sized(c *gin.Context) {
	if c.Request.Body == nil || c.Request.Body == http.NoBody {
		return
	}
	tooLarge := no(wire.KindBodyTooLarge, "A body may have at most 65,536 bytes.")
	if c.Request.ContentLength > MaxBody {
		s.refuse(c, tooLarge)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		s.refuse(c, tooLarge)
	case err != nil:
		s.refuse(c, misplaced([]strictjson.Violation{{Detail: "the body ended early"}}))
	default:
		c.Set(bodyKey, body)
		rewind(c)
	}
}

// rewind lets the next in the chain read the body from its beginning.
func rewind(c *gin.Context) { c.Request.Body = io.NopCloser(bytes.NewReader(bodyOf(c))) }

// typed asks for JSON where a body is expected: 415.
func (s *server) typed(c *gin.Context) {
	if operationOf(c).body == nil {
		return
	}
	media, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	charset := strings.ToLower(params["charset"])
	encoding := c.GetHeader("Content-Encoding")
	switch {
	case err != nil, media != wire.JSON, len(c.Request.Header.Values("Content-Type")) > 1:
		s.refuse(c, no(wire.KindUnsupportedMediaType, "Send Content-Type: application/json."))
	case charset != "" && charset != "utf-8":
		s.refuse(c, no(wire.KindUnsupportedMediaType, "JSON is UTF-8; leave the charset out."))
	case encoding != "" && encoding != "identity":
		s.refuse(c, no(wire.KindUnsupportedMediaType, "Send the body without Content-Encoding."))
	}
}

// keyed reads the Idempotency-Key: 400.
func (s *server) keyed(c *gin.Context) {
	if !operationOf(c).keyed {
		return
	}
	k, err := idempotency.ParseKey(c.Request.Header.Values("Idempotency-Key"))
	if err != nil {
		s.refuse(c, err)
		return
	}
	with(c, idempotencyKeyKey, k)
	s.received(c, k)
}

// valid holds parameters and body against the contract: 400.
func (s *server) valid(c *gin.Context) {
	op := operationOf(c)
	if _, err := url.ParseQuery(c.Request.URL.RawQuery); err != nil {
		// What net/url cannot read it leaves out, and a filter that was left out
		// would be answered as if nobody had asked for it.
		s.refuse(c, misgiven("query", "it cannot be read"))
		return
	}
	err := openapi3filter.ValidateRequest(c.Request.Context(), op.input(c.Request, pathParams(c)))
	if r := badParameters(err); r != nil {
		s.refuse(c, r)
		return
	}
	if op.body == nil {
		return
	}
	if found := strictjson.Check(bodyOf(c), op.body); found != nil {
		s.refuse(c, misplaced(found))
		return
	}
	rewind(c) // the validators have read it
}

// badParameters keeps what is wrong in query and headers. A malformed id in the
// path is no bad request: it names nothing, and that is said later.
func badParameters(err error) *refusal {
	var several openapi3.MultiError
	var one *openapi3filter.RequestError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		for _, each := range several {
			if r := badParameters(each); r != nil {
				return r
			}
		}
	case errors.As(err, &one) && one.Parameter != nil && one.Parameter.In != openapi3.ParameterInPath:
		detail := "does not fit the contract"
		if v := strictjson.Describe(one.Err); len(v) > 0 {
			detail = v[0].Detail
		}
		return misgiven(one.Parameter.Name, detail)
	}
	return nil
}

// existing refuses ids that name nothing because of their form: 404.
func (s *server) existing(c *gin.Context) {
	for name, prefix := range map[string]wire.Prefix{
		"order_id": wire.PrefixOrder, "payment_id": wire.PrefixPayment, "refund_id": wire.PrefixRefund,
		"letter_id": wire.PrefixLetter, "saga_id": wire.PrefixSaga, "ticket_id": wire.PrefixTicket,
	} {
		given, has := c.Params.Get(name)
		if !has {
			continue
		}
		if _, ok := prefix.Parse(given); !ok {
			s.refuse(c, errNotFound)
			return
		}
	}
}

// detach gives a handler the request's own context. gin's is reused for another
// request as soon as this one is over, so nothing may keep it.
func detach(ctx context.Context) context.Context {
	if c, ok := ctx.(*gin.Context); ok {
		return c.Request.Context()
	}
	return ctx
}

func pathParams(c *gin.Context) map[string]string {
	params := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	return params
}

// preferredWait reads `Prefer: wait=N` (RFC 7240); ok is false without one.
func preferredWait(header []string) (wait time.Duration, ok bool) {
	for _, one := range header {
		for part := range strings.SplitSeq(one, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			if d, err := time.ParseDuration(strings.TrimSpace(value) + "s"); err == nil && d >= 0 {
				return max(d, time.Nanosecond), true
			}
		}
	}
	return 0, false
}
