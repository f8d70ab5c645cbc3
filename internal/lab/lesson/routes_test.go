package lesson_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"payonce/api"
	"payonce/internal/lab/client"
	"payonce/internal/lab/lesson"
	"payonce/internal/lab/stage"
)

// fits holds an answer against its schema in the contract.
func fits(t *testing.T, schema string, body []byte) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Lab)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	require.NoError(t, doc.Components.Schemas[schema].Value.VisitJSON(value), "%s: %.400s", schema, body)
}

func TestTheLessonsAreShownAsTheContractSaysAndDoNotGiveTheTruthAway(t *testing.T) {
	t.Parallel()
	b := house(t).Buyer()
	list := b.Get("/v1/lab/lessons")
	fits(t, "LessonList", list.Body)
	require.Len(t, list.Field("data"), 16)
	all, err := lesson.All()
	require.NoError(t, err)
	boxes := 0
	for _, l := range all {
		got := b.Get("/v1/lab/lessons/" + l.Slug)
		fits(t, "Lesson", got.Body)
		require.NotContains(t, string(got.Body), `"truth"`)
		if got.Field("box") != nil {
			boxes++
		}
		for _, c := range got.Field("code").([]any) {
			require.Positive(t, c.(map[string]any)["line"], "the runner was built from this tree")
		}
	}
	require.Equal(t, 2, boxes)
	fits(t, "Explain", b.Get("/v1/lab/explain").Body)
	for path, status := range map[string]int{"/v1/lab/lessons/no-such-lesson": 404, "/v1/lab/lesson-runs/run_1": 404, "/v1/lab/lessons/double-click/runs": 404, "/v1/lab/lesson": 404} {
		got, err := b.Do(t.Context(), http.MethodGet, path, "", nil)
		require.NoError(t, err)
		require.Equal(t, status, got.Status, path)
		fits(t, "Problem", got.Body)
	}
	visitor, err := b.Stage.Visitor().Send(t.Context(), client.Request{Method: http.MethodGet, Path: "/v1/lab/lessons"})
	require.NoError(t, err)
	require.Equal(t, 401, visitor.Status, "a visitor is recognised at the edge, as on the other ways of the laboratory")
}

func TestARunIsOfOneSandboxWhichPlaysOneAtATimeAndNobodyElseSeesIt(t *testing.T) {
	t.Parallel()
	s := house(t)
	mine, other := s.Buyer(), s.Buyer()
	refused := map[string]map[string]any{
		"no shop":             {},
		"a shop nobody knows": {"shop": "acme"},
		"no option":           {"shop": "payonce", "prediction": "maybe"},
		"an unknown field":    {"shop": "payonce", "guess": "same"},
	}
	for what, body := range refused {
		got, err := mine.Do(t.Context(), http.MethodPost, "/v1/lab/lessons/double-click/runs", "", body)
		require.NoError(t, err)
		require.Equal(t, 400, got.Status, "%s: %s", what, got.Body)
		fits(t, "Problem", got.Body)
	}
	// Poison waits for a retry schedule, so it is still running when the others ask.
	begin := func(slug string) stage.Response {
		got, err := mine.Do(t.Context(), http.MethodPost, "/v1/lab/lessons/"+slug+"/runs", "", map[string]any{"shop": "payonce"})
		require.NoError(t, err)
		return got
	}
	first := begin("poison")
	require.Equal(t, 202, first.Status, "%s", first.Body)
	fits(t, "LessonRun", first.Body)
	again := begin("poison")
	require.Equal(t, 202, again.Status)
	require.Equal(t, first.Field("id"), again.Field("id"), "a second click on Run is the same run")
	busy := begin("double-click")
	require.Equal(t, 429, busy.Status)
	require.NotEmpty(t, busy.Header.Get("Retry-After"))

	at := first.Header.Get("Location")
	got, err := other.Do(t.Context(), http.MethodGet, at, "", nil)
	require.NoError(t, err)
	require.Equal(t, 404, got.Status)
	list := other.Get("/v1/lab/lesson-runs")
	fits(t, "LessonRunList", list.Body)
	require.Empty(t, list.Field("data"))
	require.Equal(t, lesson.Finished, run(t, other, "double-click", lesson.Payonce, "two").State, "another sandbox plays meanwhile")

	evidence := func(b *stage.Buyer) (with int) {
		got := b.Get("/v1/lab/explain")
		fits(t, "Explain", got.Body)
		for _, q := range got.Field("questions").([]any) {
			if q := q.(map[string]any); q["evidence"] != nil {
				require.Equal(t, "double-click", q["lesson"])
				with++
			} else {
				require.Contains(t, q["hint"], q["lesson"])
			}
		}
		return with
	}
	require.Equal(t, 1, evidence(other))
	require.Zero(t, evidence(mine), "another's run is no evidence")
	heads := other.Get("/v1/lab/lesson-runs").Field("data").([]any)
	require.Len(t, heads, 1)
	require.Equal(t, false, heads[0].(map[string]any)["predicted_right"], "two was not what came true")
}

func TestARunOutlivesTheApiAndOneWhoseRunnerWasKilledIsMarkedAsFailedAndCanBeRunAgain(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	b := s.Buyer()
	started, err := b.Do(t.Context(), http.MethodPost, "/v1/lab/lessons/poison/runs", "", map[string]any{"shop": "payonce"})
	require.NoError(t, err)
	require.Equal(t, 202, started.Status, "%s", started.Body)
	at := started.Header.Get("Location")
	s.API.Kill()
	s.API.Start()
	var r lesson.Run
	read := func() lesson.Run {
		r = lesson.Run{}
		require.NoError(t, json.Unmarshal(b.Get(at).Body, &r))
		return r
	}
	require.Equal(t, lesson.Running, read().State, "the api was killed, the run goes on")
	require.Eventually(t, func() bool { return len(read().Steps) >= 3 }, 30*time.Second, 50*time.Millisecond)
	s.Simulator.Kill()
	away, err := b.Do(t.Context(), http.MethodGet, at, "", nil)
	require.NoError(t, err)
	require.Equal(t, 503, away.Status)
	fits(t, "Problem", away.Body)
	s.Simulator.Start()
	require.Equal(t, lesson.Failed, read().State)
	require.Contains(t, *r.Error, "started again")
	require.NotNil(t, r.FinishedAt)
	require.GreaterOrEqual(t, len(r.Steps), 3, "what it had found is kept")
	require.True(t, run(t, b, "two-tabs", lesson.Payonce, "").OK)
}

func TestAProviderThatHoldsASecondChargeTurnsThatCheckRedAndNoOther(t *testing.T) {
	t.Parallel()
	s := house(t)
	b := s.Buyer()
	started, err := b.Do(t.Context(), http.MethodPost, "/v1/lab/lessons/poison/runs", "", map[string]any{"shop": "payonce", "prediction": "letter"})
	require.NoError(t, err)
	at := started.Header.Get("Location")
	var r lesson.Run
	read := func() lesson.Run {
		r = lesson.Run{}
		require.NoError(t, json.Unmarshal(b.Get(at).Body, &r))
		return r
	}
	require.Eventually(t, func() bool { return read().PaymentID != nil }, 30*time.Second, 50*time.Millisecond)
	// Planted, once the payment is captured: before that, a charge which no attempt
	// made would keep the capture back.
	require.Eventually(t, func() bool { return b.Get("/v1/payments/"+*r.PaymentID).Field("status") == "captured" }, 30*time.Second, 50*time.Millisecond)
	charged, err := s.World().Send(t.Context(), client.Request{
		Method: http.MethodPost, Path: "/v1/charges", Key: "planted-" + *r.PaymentID,
		Body: map[string]any{"reference": *r.PaymentID, "amount_minor": 8400, "currency": "EUR", "token": "tok_ok"},
	})
	require.NoError(t, err)
	require.Equal(t, 201, charged.Status)
	require.Eventually(t, func() bool { return read().State != lesson.Running }, 120*time.Second, 100*time.Millisecond)
	require.Equal(t, lesson.Finished, r.State, "a check that does not hold is no failure of the run: %s", value(r.Error))
	require.False(t, r.OK)
	for _, c := range r.Checks {
		require.Equal(t, c.ID != "charges", c.OK, "%+v", c)
		if c.ID == "charges" {
			require.Equal(t, [2]string{"1", "2"}, [2]string{c.Expected, c.Seen})
			require.Contains(t, c.Query, "curl -s")
			require.Contains(t, c.Query, *r.PaymentID)
		}
	}
}
