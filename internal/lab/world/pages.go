package world

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// Each page is the layout with its own "title" and "main". html/template
// escapes by context, so that a subject made of markup is shown as text.
var (
	homePage     = parsePage("home.html")
	mailboxPage  = parsePage("mailbox.html")
	messagePage  = parsePage("message.html")
	webhooksPage = parsePage("webhooks.html")
	lostPage     = parsePage("lost.html")
)

func parsePage(name string) *template.Template {
	return template.Must(template.ParseFS(pageFiles, "page/layout.html", "page/"+name))
}

// mailsOnPage is how many mails the page lists before it offers older ones.
const mailsOnPage = 50

// showHome is GET /: what this place is, and what it has seen.
func (w *World) showHome(rw http.ResponseWriter, r *http.Request) {
	counts, err := w.letters.counts(r.Context())
	if err != nil {
		w.showTrouble(rw, err)
		return
	}
	w.show(rw, http.StatusOK, homePage, struct {
		Counts
		Cards     []card
		Behaviour Behaviour
	}{counts, Cards, w.mood.get(w.options.Now())})
}

// showMailbox is GET /mailbox?to=&cursor=.
func (w *World) showMailbox(rw http.ResponseWriter, r *http.Request) {
	to := cleanText(r.URL.Query().Get("to"))
	messages, err := w.letters.list(r.Context(), mailFilter{to: to,
		before: cleanText(r.URL.Query().Get("cursor")), limit: mailsOnPage + 1})
	if err != nil {
		w.showTrouble(rw, err)
		return
	}
	listed := cut(messages, mailsOnPage, func(m Message) string { return m.ID })
	w.show(rw, http.StatusOK, mailboxPage, struct {
		To       string
		Messages []Message
		Older    *string
	}{to, listed.Data, listed.NextCursor})
}

// showMessage is GET /mailbox/{id}.
func (w *World) showMessage(rw http.ResponseWriter, r *http.Request) {
	messages, err := w.letters.list(r.Context(), mailFilter{id: cleanText(r.PathValue("id")), limit: 1})
	if err != nil {
		w.showTrouble(rw, err)
		return
	}
	if len(messages) == 0 {
		w.show(rw, http.StatusNotFound, lostPage, "There is no such mail.")
		return
	}
	arrivals, err := w.letters.arrivals(r.Context(), messages[0])
	if err != nil {
		w.showTrouble(rw, err)
		return
	}
	w.show(rw, http.StatusOK, messagePage, struct {
		Message
		Arrivals []string
	}{messages[0], arrivals})
}

// showWebhooks is GET /webhooks?reference=&cursor=: the delivery log for people.
func (w *World) showWebhooks(rw http.ResponseWriter, r *http.Request) {
	reference := cleanText(r.URL.Query().Get("reference"))
	lines, err := w.books.deliveries(r.Context(), reference, "", cleanText(r.URL.Query().Get("cursor")), mailsOnPage+1)
	if err != nil {
		w.showTrouble(rw, err)
		return
	}
	listed := cut(lines, mailsOnPage, Delivery.cursor)
	w.show(rw, http.StatusOK, webhooksPage, struct {
		URL, Reference string
		Deliveries     []Delivery
		Later          *string
	}{w.options.Webhooks.URL, reference, listed.Data, listed.NextCursor})
}

func (w *World) showTrouble(rw http.ResponseWriter, err error) {
	w.logUnexpected("show a page", err)
	w.show(rw, http.StatusServiceUnavailable, lostPage, "The world's database is away. Try again in a moment.")
}

// show renders before it sends, so that a failing template is a 500 and not
// half a page.
func (w *World) show(rw http.ResponseWriter, status int, tmpl *template.Template, data any) {
	var body bytes.Buffer
	if err := tmpl.ExecuteTemplate(&body, "layout.html", data); err != nil {
		w.logUnexpected("render a page", err)
		writeError(rw, errBooks)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_, _ = body.WriteTo(rw)
}

// showAsset serves one embedded file.
func showAsset(name, contentType string) http.HandlerFunc {
	body, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic("world: " + err.Error()) // a file missing from the build
	}
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", contentType)
		rw.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = rw.Write(body)
	}
}
