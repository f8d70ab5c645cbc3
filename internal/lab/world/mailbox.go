package world

import "net/http"

// getMessages is GET /mailbox/messages?to=&message_id=&cursor=&limit=, newest
// first.
func (w *World) getMessages(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := readLimit(query.Get("limit"))
	if err != nil {
		writeError(rw, err)
		return
	}
	messages, err := w.letters.list(r.Context(), mailFilter{
		to: cleanText(query.Get("to")), messageID: cleanText(query.Get("message_id")),
		before: cleanText(query.Get("cursor")), limit: limit + 1,
	})
	if err != nil {
		w.logUnexpected("list mails", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, cut(messages, limit, func(m Message) string { return m.ID }))
}

// getMessage is GET /mailbox/messages/{id}.
func (w *World) getMessage(rw http.ResponseWriter, r *http.Request) {
	messages, err := w.letters.list(r.Context(), mailFilter{id: cleanText(r.PathValue("id")), limit: 1})
	switch {
	case err != nil:
		w.logUnexpected("read a mail", err)
		writeError(rw, err)
	case len(messages) == 0:
		writeError(rw, errNotFound)
	default:
		writeJSON(rw, http.StatusOK, messages[0])
	}
}
