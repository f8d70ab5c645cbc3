package httpapi

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/config"
	"payonce/internal/platform/httpserver"
)

// Limits bound what one address, and one sandbox, may do. A rate or a number
// below zero means no limit, and zero the default, which is package config's.
type Limits struct {
	PerSecond float64 // requests of an address, and of a sandbox
	Burst     int
	// Sandboxes an address may make.
	SandboxesPerSecond float64
	SandboxBurst       int
	Streams            int // live streams of an address at a time
	// Proxies are networks whose X-Forwarded-For is believed.
	Proxies []*net.IPNet
}

func (l Limits) withDefaults() Limits {
	l.PerSecond, l.Burst = cmp.Or(l.PerSecond, config.DefaultRate), cmp.Or(l.Burst, config.DefaultBurst)
	l.SandboxesPerSecond, l.SandboxBurst = cmp.Or(l.SandboxesPerSecond, config.DefaultSandboxRate), cmp.Or(l.SandboxBurst, config.DefaultSandboxBurst)
	l.Streams = cmp.Or(l.Streams, config.DefaultStreams)
	return l
}

// limiter keeps one bucket per name. Its memory is bounded: buckets live in two
// generations, and when the younger one is full the older one is forgotten. A
// forgotten bucket comes back full, which errs on the client's side.
type limiter struct {
	perSecond float64
	burst     int
	now       func() time.Time

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// maxBuckets bounds one generation.
const maxBuckets = 10_000

func newLimiter(perSecond float64, burst int, now func() time.Time) *limiter {
	return &limiter{perSecond: perSecond, burst: burst, now: now, young: map[string]*rate.Limiter{}}
}

func (l *limiter) bucket(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.young[name]; b != nil {
		return b
	}
	b := l.old[name]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
	}
	if len(l.young) >= maxBuckets {
		l.old, l.young = l.young, map[string]*rate.Limiter{}
	}
	l.young[name] = b
	return b
}

// allow takes one token and writes the RateLimit fields. It returns how long to
// wait when there is none.
func (l *limiter) allow(name string, h http.Header) (wait time.Duration, ok bool) {
	if l.perSecond < 0 {
		return 0, true
	}
	b, now := l.bucket(name), l.now()
	ok = b.AllowN(now, 1)
	left := math.Max(0, b.TokensAt(now))
	untilFull := (float64(l.burst) - left) / l.perSecond
	h.Set("RateLimit-Policy", fmt.Sprintf(`"requests";q=%d;w=%d`, l.burst, int(math.Ceil(float64(l.burst)/l.perSecond))))
	h.Set("RateLimit", fmt.Sprintf(`"requests";r=%d;t=%d`, int(left), int(math.Ceil(untilFull))))
	if ok {
		return 0, true
	}
	return l.wait(b, now), false
}

// spent looks without taking: how long to wait when no token is left.
func (l *limiter) spent(name string) (wait time.Duration, spent bool) {
	if l.perSecond < 0 {
		return 0, false
	}
	b, now := l.bucket(name), l.now()
	if b.TokensAt(now) >= 1 {
		return 0, false
	}
	return l.wait(b, now), true
}

func (l *limiter) wait(b *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1 - b.TokensAt(now)) / l.perSecond * float64(time.Second))
}

// take takes a token if there is one.
func (l *limiter) take(name string) {
	if l.perSecond >= 0 {
		l.bucket(name).AllowN(l.now(), 1)
	}
}

func tooMany(wait time.Duration) *refusal {
	r := no(wire.KindTooManyRequests, "Too many requests. Nothing was done; ask again with the same key.")
	r.retryAfter = max(wait, time.Second)
	return r
}

// counted refuses an address that asks too fast, before its body is read and
// before it is known who asks: 429. The provider's messages are not counted: one
// that is turned away comes later, and later is worse. Those that turn out not to
// be the provider's are, and an address that has sent too many is not read again.
func (s *server) counted(c *gin.Context) {
	who := s.client(c)
	if op := operationOf(c); op != nil && op.signed {
		if wait, spent := s.limits.spent(forger(who)); spent {
			s.refuse(c, tooMany(wait))
		}
		return
	}
	if wait, ok := s.limits.allow("ip "+who, c.Writer.Header()); !ok {
		s.refuse(c, tooMany(wait))
	}
}

// forger names the bucket of an address for messages that the provider did not sign.
func forger(who string) string { return "forger " + who }

// limit refuses a sandbox that asks too fast: 429. It comes after the address, so
// that the fields speak of the sandbox where there is one.
func (s *server) limit(c *gin.Context) {
	who := caller.From(c.Request.Context())
	if who.Merchant == uuid.Nil {
		return
	}
	if wait, ok := s.limits.allow("merchant "+who.Merchant.String(), c.Writer.Header()); !ok {
		s.refuse(c, tooMany(wait))
	}
}

// client is the address that a request is counted for: the connection's, or the
// one that a proxy of ours names. Any other forwarding header could be anybody's.
func (s *server) client(c *gin.Context) string { return httpserver.Client(c.ClientIP()) }

// streaming counts the live streams of each address.
type streaming struct {
	limit int

	mu   sync.Mutex
	open map[string]int
}

// begin says whether one more may be opened; over ends it.
func (s *streaming) begin(who string) (over func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit >= 0 && s.open[who] >= s.limit {
		return nil, false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[who]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[who]--; s.open[who] == 0 {
			delete(s.open, who)
		}
	}), true
}
