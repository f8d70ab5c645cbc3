package web_test

import (
	"io/fs"
	"strings"
	"testing"

	"payonce/web"
)

func TestFSHasExactlyOneIndexPageAtItsRoot(t *testing.T) {
	t.Parallel()
	page, err := fs.ReadFile(web.FS(), "index.html")
	if err != nil {
		t.Fatalf("no index.html at the root: %v", err)
	}
	if !strings.Contains(string(page), "<title>payonce") {
		t.Fatalf("index.html is not a page of payonce:\n%s", page)
	}
}

// A policy of default-src 'self' refuses inline styles and scripts silently; a
// page that has any would look broken only in the browser.
func TestTheIndexPageHasZeroInlineStylesAndZeroInlineScripts(t *testing.T) {
	t.Parallel()
	raw, err := fs.ReadFile(web.FS(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for _, forbidden := range []string{"<style", " style=", "<script>", " onclick="} {
		if strings.Contains(page, forbidden) {
			t.Errorf("index.html contains %q", forbidden)
		}
	}
}

func TestABuiltPageHasACompressedTwinOfEachKind(t *testing.T) {
	t.Parallel()
	if !web.Built() {
		t.Skip("the user interface is not built: run npm ci && npm run build in web/")
	}
	for _, name := range []string{"index.html", "index.html.br", "index.html.gz", "favicon.svg"} {
		if _, err := fs.Stat(web.FS(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
