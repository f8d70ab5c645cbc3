package httpapi

import (
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
)

// Limits say how fast one sandbox and one address may ask. Zero values get the
// defaults: 200 a second with bursts of 1,000; a negative rate means no limit.
type Limits struct {
	PerSecond float64
	Burst     int
}

// limiter keeps one bucket per name. Its memory is bounded: buckets live in two
// generations, and when the younger one is full the older one is forgotten. A
// forgotten bucket comes back full, which errs on the client's side.
type limiter struct {
	limits Limits
	now    func() time.Time

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// maxBuckets bounds one generation.
const maxBuckets = 10_000

func newLimiter(l Limits, now func() time.Time) *limiter {
	if l.PerSecond == 0 {
		l.PerSecond = 200
	}
	if l.Burst == 0 {
		l.Burst = 1000
	}
	return &limiter{limits: l, now: now, young: map[string]*rate.Limiter{}}
}

func (l *limiter) bucket(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.young[name]; b != nil {
		return b
	}
	b := l.old[name]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(l.limits.PerSecond), l.limits.Burst)
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
	if l.limits.PerSecond < 0 {
		return 0, true
	}
	b, now := l.bucket(name), l.now()
	ok = b.AllowN(now, 1)
	left := math.Max(0, b.TokensAt(now))
	untilFull := (float64(l.limits.Burst) - left) / l.limits.PerSecond
	h.Set("RateLimit-Policy", fmt.Sprintf(`"requests";q=%d;w=%d`, l.limits.Burst, int(math.Ceil(float64(l.limits.Burst)/l.limits.PerSecond))))
	h.Set("RateLimit", fmt.Sprintf(`"requests";r=%d;t=%d`, int(left), int(math.Ceil(untilFull))))
	if ok {
		return 0, true
	}
	return time.Duration((1 - b.TokensAt(now)) / l.limits.PerSecond * float64(time.Second)), false
}

// limit refuses who asks too fast: 429. The address is counted first and the
// sandbox after it, so that the fields speak of the sandbox where there is one.
func (s *server) limit(c *gin.Context) {
	if op := operationOf(c); op != nil && op.signed {
		return // A provider that is turned away comes later, and later is worse.
	}
	names := []string{"ip " + remoteIP(c.Request)}
	if who := caller.From(c.Request.Context()); who.Merchant != uuid.Nil {
		names = append(names, "merchant "+who.Merchant.String())
	}
	for _, name := range names {
		if wait, ok := s.limits.allow(name, c.Writer.Header()); !ok {
			r := no(wire.KindTooManyRequests, "Too many requests. Nothing was done; ask again with the same key.")
			r.retryAfter = max(wait, time.Second)
			s.refuse(c, r)
			return
		}
	}
}

// remoteIP is the connection's. A forwarding header could be anybody's.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
