package lesson

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"payonce/api"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/reply"
)

// Handler answers the part of api/lab.yaml that is the runner's. It is called by
// the api's laboratory, which has recognised the visitor and sends his sandbox's
// key along; see [Proxy].
func (r *Runner) Handler() http.Handler {
	doc, err := openapi3.NewLoader().LoadFromData(api.Lab)
	if err != nil {
		panic("lesson: the embedded contract cannot be read: " + err.Error())
	}
	h := &handler{Runner: r, asks: doc.Components.Schemas["LessonRunRequest"].Value}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/lab/lessons", h.list)
	mux.HandleFunc("GET /v1/lab/lessons/{slug}", h.show)
	mux.HandleFunc("POST /v1/lab/lessons/{slug}/runs", h.run)
	mux.HandleFunc("GET /v1/lab/lesson-runs", h.owned(h.runs))
	mux.HandleFunc("GET /v1/lab/lesson-runs/{id}", h.owned(h.oneRun))
	mux.HandleFunc("GET /v1/lab/explain", h.owned(h.explainBack))
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		reply.Refuse(w, q, wire.KindNotFound, "The laboratory has nothing by that name and method.")
	})
	return mux
}

type handler struct {
	*Runner
	asks *openapi3.Schema
}

// head is a lesson in the list.
type head struct {
	Slug    string `json:"slug"`
	Number  int    `json:"number"`
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Minutes int    `json:"minutes"`
	Naive   bool   `json:"naive"`
}

func headOf(l Lesson) head {
	return head{l.Slug, l.Number, l.Text.Title, l.Text.Summary, l.Text.Minutes, l.Naive != nil}
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request) {
	list := make([]head, 0, len(h.lessons))
	for _, l := range h.lessons {
		list = append(list, headOf(l))
	}
	reply.JSON(w, http.StatusOK, map[string]any{"data": list})
}

type lessonView struct {
	head
	Predict struct {
		Question string   `json:"question"`
		Options  []Option `json:"options"`
	} `json:"predict"`
	Run          string   `json:"run_html"`
	Watch        string   `json:"watch_html"`
	Check        string   `json:"check_html"`
	Why          string   `json:"why_html"`
	Unguaranteed string   `json:"unguaranteed"`
	Notes        string   `json:"speaker_notes_html"`
	Box          *boxView `json:"box,omitempty"`
	Code         []Code   `json:"code"`
	Records      []Record `json:"adrs"`
}

func (h *handler) show(w http.ResponseWriter, q *http.Request) {
	l, found := h.lesson(q.PathValue("slug"))
	if !found {
		reply.Refuse(w, q, wire.KindNotFound, "There is no such lesson.")
		return
	}
	v, err := viewOf(l)
	if err != nil {
		h.broken(w, q, "render a lesson", err)
		return
	}
	reply.JSON(w, http.StatusOK, v)
}

func viewOf(l Lesson) (lessonView, error) {
	v := lessonView{head: headOf(l), Unguaranteed: l.Text.Unguaranteed, Code: append([]Code{}, l.Text.Code...), Records: append([]Record{}, l.Text.Records...)}
	v.Predict.Question, v.Predict.Options = l.Text.Question, l.Text.Options
	var problems []error
	for heading, into := range map[string]*string{"Run": &v.Run, "Watch": &v.Watch, "Check": &v.Check, "Why": &v.Why, "Speaker notes": &v.Notes} {
		html, err := l.Text.HTML(heading)
		*into = html
		problems = append(problems, err)
	}
	var err error
	v.Box, err = l.Text.Box.view(l.Text)
	return v, errors.Join(append(problems, err)...)
}

// run is POST /v1/lab/lessons/{slug}/runs.
func (h *handler) run(w http.ResponseWriter, q *http.Request) {
	l, found := h.lesson(q.PathValue("slug"))
	if !found {
		reply.Refuse(w, q, wire.KindNotFound, "There is no such lesson.")
		return
	}
	var asked struct {
		Shop       string  `json:"shop"`
		Prediction *string `json:"prediction"`
	}
	if !h.read(w, q, &asked) {
		return
	}
	switch {
	case asked.Shop == Naive && l.Naive == nil:
		pointer := "/shop"
		reply.Refuse(w, q, wire.KindInvalidRequest, "This lesson has no twin on the naive shop.", wire.ProblemError{Pointer: &pointer, Detail: "must be payonce"})
		return
	case asked.Prediction != nil && !l.Text.Offers(*asked.Prediction):
		pointer := "/prediction"
		reply.Refuse(w, q, wire.KindInvalidRequest, "The prediction is none of the lesson's options.", wire.ProblemError{Pointer: &pointer, Detail: "must be the id of an option"})
		return
	}
	v, ok := h.visitor(w, q)
	if !ok {
		return
	}
	run, err := h.start(q.Context(), v, l, asked.Shop, asked.Prediction)
	switch {
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "2")
		reply.Refuse(w, q, wire.KindTooManyRequests, "Another lesson is running in this sandbox. Wait for its end; a sandbox plays one at a time.")
	case err != nil:
		h.broken(w, q, "begin a run", err)
	default:
		w.Header().Set("Location", "/v1/lab/lesson-runs/"+run.ID)
		reply.JSON(w, http.StatusAccepted, run)
	}
}

// read reads a body as strictly as the shop does; false means refused.
func (h *handler) read(w http.ResponseWriter, q *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, 1<<16))
	if err != nil {
		reply.Refuse(w, q, wire.KindInvalidRequest, "The body ended early, or is too long.")
		return false
	}
	return reply.Fits(w, q, h.asks, body, into)
}

// visitor asks the shop whose key it is: the runner has no secret to tell.
func (h *handler) visitor(w http.ResponseWriter, q *http.Request) (v visitor, ok bool) {
	v.apiKey = apiKeyOf(q)
	shop := partyAt("the shop", h.opts.ShopURL, v.apiKey)
	defer shop.CloseIdle()
	got, err := shop.send(q.Context(), client.Request{Method: http.MethodGet, Path: "/v1/sandboxes/current"})
	var sandbox struct {
		MerchantID string `json:"merchant_id"`
	}
	switch {
	case err != nil || got.Status >= http.StatusInternalServerError:
		w.Header().Set("Retry-After", "1")
		reply.Refuse(w, q, wire.KindUnavailable, "The shop cannot be reached at its public address; nothing was started.")
		return v, false
	case got.Status != http.StatusOK || v.apiKey == "":
		reply.Refuse(w, q, wire.KindAuthenticationRequired, "Send the API key of a sandbox.")
		return v, false
	}
	if err := got.into(&sandbox); err != nil {
		h.broken(w, q, "read a sandbox", err)
		return v, false
	}
	v.merchant, ok = wire.PrefixMerchant.Parse(sandbox.MerchantID)
	return v, ok && v.merchant != uuid.Nil
}

// owned lets only somebody with a key through. Whose it is need not be asked:
// nobody else's runs are found under its hash.
func (h *handler) owned(next func(w http.ResponseWriter, q *http.Request, owner []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		key := apiKeyOf(q)
		if key == "" {
			reply.Refuse(w, q, wire.KindAuthenticationRequired, "Send the API key of a sandbox.")
			return
		}
		next(w, q, ownerOf(key))
	}
}

func (h *handler) runs(w http.ResponseWriter, q *http.Request, owner []byte) {
	list, err := h.store.heads(q.Context(), owner)
	if err != nil {
		h.broken(w, q, "list runs", err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"data": list})
}

func (h *handler) oneRun(w http.ResponseWriter, q *http.Request, owner []byte) {
	run, found, err := h.store.one(q.Context(), owner, q.PathValue("id"))
	switch {
	case err != nil:
		h.broken(w, q, "read a run", err)
	case !found:
		reply.Refuse(w, q, wire.KindNotFound, "There is no such run.")
	default:
		reply.JSON(w, http.StatusOK, run)
	}
}

func (h *handler) explainBack(w http.ResponseWriter, q *http.Request, owner []byte) {
	v, err := h.explained(q.Context(), owner)
	if err != nil {
		h.broken(w, q, "explain", err)
		return
	}
	reply.JSON(w, http.StatusOK, v)
}

func (h *handler) broken(w http.ResponseWriter, q *http.Request, doing string, err error) {
	if !errors.Is(err, context.Canceled) {
		h.opts.Log.Error("a lesson's route failed", "doing", doing, "error", err)
	}
	reply.Refuse(w, q, wire.KindUnavailable, "The runner's own database is away. Ask again.")
}

func apiKeyOf(q *http.Request) string {
	key, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	return key
}
