package lesson

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"payonce/internal/edge/wire"
)

// explanation is the closing page: questions that people are asked, answers, and
// the lesson that shows each.
type explanation struct {
	title, summary string
	minutes        int
	text           *Text // for rendering
	intro          string
	questions      []asked
}

type asked struct{ question, lesson, answer string }

func readExplanation() (explanation, error) {
	raw, err := texts.ReadFile("text/explain-it-back.md")
	if err != nil {
		return explanation{}, fmt.Errorf("the closing page: %w", err)
	}
	e, err := parseExplanation(string(raw))
	if err != nil {
		return explanation{}, fmt.Errorf("text/explain-it-back.md: %w", err)
	}
	return e, nil
}

// parseExplanation reads headings that are questions. The first line under each
// names its lesson.
func parseExplanation(raw string) (e explanation, err error) {
	front, body, err := frontMatter(raw)
	if err != nil {
		return e, err
	}
	e.title, e.summary, e.text = front["title"], front["summary"], &Text{}
	if e.minutes, err = strconv.Atoi(front["minutes"]); err != nil || e.title == "" || e.summary == "" {
		return e, fmt.Errorf("it begins with title, summary and minutes: %v", front)
	}
	e.text.Code, e.text.Records = linksOf(body)
	parts := strings.Split("\n"+body, "\n## ")
	e.intro = strings.TrimSpace(parts[0])
	for _, part := range parts[1:] {
		question, rest, _ := strings.Cut(part, "\n")
		lesson, answer, found := strings.Cut(strings.TrimSpace(rest), "\n")
		lesson, named := strings.CutPrefix(lesson, "Lesson: ")
		if !found || !named {
			return e, fmt.Errorf("under %q the first line is not Lesson: and a slug", question)
		}
		e.questions = append(e.questions, asked{strings.TrimSpace(question), strings.TrimSpace(lesson), strings.TrimSpace(answer)})
	}
	return e, nil
}

type explainView struct {
	Title     string         `json:"title"`
	Summary   string         `json:"summary"`
	Minutes   int            `json:"minutes"`
	Intro     string         `json:"intro_html"`
	Questions []questionView `json:"questions"`
	Code      []Code         `json:"code"`
	Records   []Record       `json:"adrs"`
}

type questionView struct {
	Question string    `json:"question"`
	Lesson   string    `json:"lesson"`
	Answer   string    `json:"answer_html"`
	Evidence *evidence `json:"evidence"`
	Hint     string    `json:"hint"`
}

// evidence is what the visitor's own latest run of a lesson has shown.
type evidence struct {
	RunID      string    `json:"run_id"`
	FinishedAt wire.Time `json:"finished_at"`
	OK         bool      `json:"ok"`
	PaymentID  *string   `json:"payment_id"`
	Checks     []Check   `json:"checks"`
}

// explained puts an owner's own runs beside the answers.
func (r *Runner) explained(ctx context.Context, owner []byte) (v explainView, err error) {
	runs, err := r.store.latest(ctx, owner)
	if err != nil {
		return v, err
	}
	of := map[string]Run{}
	for _, run := range runs {
		of[run.Slug] = run
	}
	v = explainView{
		Title: r.explain.title, Summary: r.explain.summary, Minutes: r.explain.minutes, Questions: []questionView{},
		Code: append([]Code{}, r.explain.text.Code...), Records: append([]Record{}, r.explain.text.Records...),
	}
	if v.Intro, err = r.explain.text.render(r.explain.intro); err != nil {
		return v, err
	}
	for _, a := range r.explain.questions {
		q := questionView{Question: a.question, Lesson: a.lesson}
		if q.Answer, err = r.explain.text.render(a.answer); err != nil {
			return v, err
		}
		if run, ran := of[a.lesson]; ran && run.FinishedAt != nil {
			q.Evidence = &evidence{run.ID, *run.FinishedAt, run.OK, run.PaymentID, run.Checks}
		} else {
			q.Hint = "No evidence of yours yet. Run the lesson " + a.lesson + " first."
		}
		v.Questions = append(v.Questions, q)
	}
	return v, nil
}
