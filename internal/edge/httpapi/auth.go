package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
)

// cookieName holds a browser's sandbox.
const cookieName = "payonce_sandbox"

var (
	errWhoAreYou = no(wire.KindAuthenticationRequired, "Send Authorization: Bearer sk_test_…, or open the first page, which sets the cookie.")
	errCrossSite = no(wire.KindCrossSiteRequest, "A POST that is authenticated by a cookie must come from the same origin.")
	errNoSandbox = no(wire.KindOperatorRequired, "The operator has no sandbox of its own; use a sandbox's API key here.")
	errOperator  = no(wire.KindOperatorRequired, "This is global; send the operator's token.")
)

// authenticate finds out who asks: 401, 403. A bearer token, right or wrong,
// outweighs the cookie.
func (s *server) authenticate(c *gin.Context) {
	if op := operationOf(c); op != nil && op.open {
		return
	}
	who, byCookie, err := s.recognise(c.Request)
	switch {
	case err != nil:
		if errors.Is(err, errWhoAreYou) {
			c.Header("WWW-Authenticate", `Bearer realm="payonce"`)
		}
		s.refuse(c, err)
	case byCookie && !readsOnly(c.Request.Method) && !s.sameOrigin(c.Request):
		s.refuse(c, errCrossSite)
	default:
		c.Request = c.Request.WithContext(caller.With(c.Request.Context(), who))
	}
}

func readsOnly(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func (s *server) recognise(r *http.Request) (who caller.Caller, byCookie bool, err error) {
	if given := r.Header.Values("Authorization"); len(given) > 0 {
		token, ok := bearer(given)
		switch {
		case !ok:
			return who, false, errWhoAreYou
		case s.tokens.IsOperator(token):
			return caller.Caller{Operator: true}, false, nil
		}
		id, ok := s.tokens.ParseAPIKey(token)
		if !ok {
			return who, false, errWhoAreYou
		}
		err := s.exists(r, id, byKeySQL, token)
		return caller.Caller{Merchant: id}, false, err
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return who, false, errWhoAreYou
	}
	id, ok := s.tokens.ParseSession(cookie.Value)
	if !ok {
		return who, false, errWhoAreYou
	}
	return caller.Caller{Merchant: id}, true, s.exists(r, id, bySessionSQL, cookie.Value)
}

func (s *server) exists(r *http.Request, id uuid.UUID, query, token string) error {
	known, err := s.sandboxes.known(r.Context(), query, token, id)
	switch {
	case err != nil:
		return err
	case !known:
		return errWhoAreYou
	}
	return nil
}

func bearer(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// sameOrigin believes what only the browser itself can write. Both headers, when
// sent, must agree; neither is a stranger.
func (s *server) sameOrigin(r *http.Request) bool {
	if len(r.Header.Values("Sec-Fetch-Site")) > 1 || len(r.Header.Values("Origin")) > 1 {
		return false // no browser says it twice
	}
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" {
		return false
	}
	if origin == "" {
		return site == "same-origin"
	}
	return s.ours(origin, r)
}

func (s *server) ours(origin string, r *http.Request) bool {
	if s.PublicURL != "" && strings.EqualFold(origin, originOf(s.PublicURL)) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https") == s.overTLS(r)
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// overTLS says whether the browser's connection is encrypted. Behind a proxy
// only our own configuration knows: a header could be anybody's.
func (s *server) overTLS(r *http.Request) bool {
	return r.TLS != nil || (strings.HasPrefix(s.PublicURL, "https://") && strings.EqualFold(originOf(s.PublicURL), "https://"+r.Host))
}

// merchantOf is the sandbox of a request that needs one.
func merchantOf(who caller.Caller) (uuid.UUID, error) {
	if who.Operator {
		return uuid.Nil, errNoSandbox
	}
	return who.Merchant, nil
}
