package httpapi

import (
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
)

// contentPolicy lets a page load what this process serves and nothing else; no
// inline script, no inline style.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// outermost is what stands before the router: HEAD is GET without a body (the
// server drops it), and a page of another origin may ask what it may send.
func (s *server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && shared(r.URL.Path):
			preflight(w)
			return
		case r.Method == http.MethodHead && r.URL.Path != "/v1/stream":
			r = r.Clone(r.Context())
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// preflight allows every origin, without cookies: who calls from elsewhere needs
// an API key.
func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Prefer, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// servePage answers what the router does not know with a file of the web UI. The
// UI has routes of its own, so a browser that asks for a page gets the first one;
// a program, and everything below /v1/, gets the 404.
func (s *server) servePage(c *gin.Context) bool {
	if s.Pages == nil || c.Request.Method != http.MethodGet || strings.HasPrefix(c.Request.URL.Path, "/v1") {
		return false
	}
	name := strings.TrimPrefix(path.Clean(c.Request.URL.Path), "/")
	if name != "" && name != "index.html" && s.serveFile(c, name) {
		return true
	}
	root := name == "" || name == "index.html"
	if !root && (path.Ext(name) != "" || !strings.Contains(c.GetHeader("Accept"), "text/html")) {
		return false
	}
	if !strings.HasPrefix(c.Request.URL.Path, replayPath) { // who is only shown a run needs no sandbox
		s.setCookie(c)
	}
	return s.serveFile(c, "index.html")
}

// serveFile sends a file, compressed in advance when there is such a twin and
// the client takes it.
func (s *server) serveFile(c *gin.Context, name string) bool {
	if !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	content, err := fs.ReadFile(s.Pages, name)
	if err != nil {
		return false
	}
	h := c.Writer.Header()
	h.Set("Vary", "Accept-Encoding")
	for _, twin := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(c.GetHeader("Accept-Encoding"), twin.encoding) {
			continue
		}
		if packed, err := fs.ReadFile(s.Pages, name+twin.suffix); err == nil {
			content = packed
			h.Set("Content-Encoding", twin.encoding)
			break
		}
	}
	// Names in assets/ hold a hash of their content; all others may change.
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.Data(http.StatusOK, mediaType(name), content)
	return true
}

// accepts reads Accept-Encoding well enough: the name is there and not refused.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

// mediaTypes does not depend on what the machine has in /etc/mime.types.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2", ".png": "image/png", ".ico": "image/x-icon",
	".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8", ".map": "application/json",
}

func mediaType(name string) string {
	if known := mediaTypes[path.Ext(name)]; known != "" {
		return known
	}
	if guessed := mime.TypeByExtension(path.Ext(name)); guessed != "" {
		return guessed
	}
	return "application/octet-stream"
}
