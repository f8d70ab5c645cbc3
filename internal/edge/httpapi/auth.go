package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/httpserver"
)

// cookieName holds a browser's sandbox.
const cookieName = "payonce_sandbox"

var (
	errWhoAreYou  = no(wire.KindAuthenticationRequired, "Send Authorization: Bearer sk_test_…, or open the first page, which sets the cookie.")
	errCrossSite  = no(wire.KindCrossSiteRequest, "A POST that is authenticated by a cookie must come from the same origin.")
	errForeignLab = no(wire.KindCrossSiteRequest, "Pages of other origins may not drive the laboratory.")
	errNoSandbox  = no(wire.KindOperatorRequired, "The operator has no sandbox of its own; use a sandbox's API key here.")
	errOperator   = no(wire.KindOperatorRequired, "This is global; send the operator's token.")
)

// authenticate finds out who asks: 401, 403. A bearer token, right or wrong,
// outweighs the cookie.
func (s *server) authenticate(c *gin.Context) {
	if op := operationOf(c); op != nil && op.open {
		return
	}
	who, byCookie, written, err := s.recognise(c.Request)
	changes := !readsOnly(c.Request.Method)
	switch {
	case err != nil:
		if errors.Is(err, errWhoAreYou) {
			c.Header("WWW-Authenticate", `Bearer realm="payonce"`)
		}
		s.refuse(c, err)
	case byCookie && changes && !s.sameOrigin(c.Request):
		s.refuse(c, errCrossSite)
	default:
		c.Set(unwrittenKey, !written)
		if changes && !written {
			if err := s.begin(c, who.Merchant); err != nil {
				s.refuse(c, err)
				return
			}
		}
		c.Request = c.Request.WithContext(caller.With(c.Request.Context(), who))
	}
}

// named refuses requests for another server's name: 421.
func (s *server) named(c *gin.Context) {
	if !httpserver.Ours(c.Request.Host, s.Hosts) {
		s.refuse(c, no(wire.KindMisdirected, "The host "+strconv.QuoteToASCII(c.Request.Host)+" is not this server's."))
	}
}

// homely refuses a page of another site the laboratory, whatever its credential:
// 403. What is armed there is armed for everybody. Programs send neither header.
func (s *server) homely(c *gin.Context) {
	h := c.Request.Header
	if h.Get("Origin") == "" && h.Get("Sec-Fetch-Site") == "none" { // a person typed the address
		return
	}
	if (h.Get("Origin") != "" || h.Get("Sec-Fetch-Site") != "") && !s.sameOrigin(c.Request) {
		s.refuse(c, errForeignLab)
	}
}

func readsOnly(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// begin writes the row of a sandbox that changes something for the first time.
func (s *server) begin(c *gin.Context, merchant uuid.UUID) error {
	if err := s.mayBegin(c); err != nil {
		return err
	}
	return s.sandboxes.write(c.Request.Context(), merchant)
}

// recognise finds out whose token a request has, and whether that sandbox has a row.
func (s *server) recognise(r *http.Request) (who caller.Caller, byCookie, written bool, err error) {
	if given := r.Header.Values("Authorization"); len(given) > 0 {
		token, ok := bearer(given)
		switch {
		case !ok:
			return who, false, false, errWhoAreYou
		case s.tokens.IsOperator(token):
			return caller.Caller{Operator: true}, false, true, nil
		}
		id, ok := s.tokens.ParseAPIKey(token)
		if !ok {
			return who, false, false, errWhoAreYou
		}
		written, err := s.stands(r, id, byKeySQL, token)
		return caller.Caller{Merchant: id}, false, written, err
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return who, false, false, errWhoAreYou
	}
	id, ok := s.tokens.ParseSession(cookie.Value)
	if !ok {
		return who, false, false, errWhoAreYou
	}
	written, err = s.stands(r, id, bySessionSQL, cookie.Value)
	return caller.Caller{Merchant: id}, true, written, err
}

func (s *server) stands(r *http.Request, id uuid.UUID, query, token string) (written bool, err error) {
	how, err := s.sandboxes.standing(r.Context(), query, token, id)
	// A key is given out with its row; a cookie is given to who only looks.
	if err == nil && (how == revoked || how == unwritten && query == byKeySQL) {
		err = errWhoAreYou
	}
	return how == valid, err
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
	scheme := "http"
	if s.overTLS(r) {
		scheme = "https"
	}
	return strings.EqualFold(origin, scheme+"://"+r.Host)
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
