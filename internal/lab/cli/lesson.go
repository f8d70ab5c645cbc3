package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

type lessonCommand struct {
	List listLessons `cmd:"" default:"withargs" help:"The lessons, in the order in which they build on each other."`
	Run  runLesson   `cmd:"" help:"Run one on the real system, and check what it claims."`
}

// Help implements kong.HelpProvider.
func (lessonCommand) Help() string {
	return `Predict, run, watch, check, why: the pages /lab/NAME have the words, this has the run. Exit code 1 when a check does not hold.

Examples:

    payonce lesson list
    payonce lesson run double-click
    payonce lesson run dual-write --naive
    payonce lesson run killed-after-charge --predict asked`
}

// lesson is what a list says of one.
type lesson struct {
	Slug    string `json:"slug"`
	Number  int    `json:"number"`
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Minutes int    `json:"minutes"`
	Naive   bool   `json:"naive"`
}

type lessons struct {
	Data []lesson `json:"data"`
}

const lessonsPath = "/v1/lab/lessons"

var errNoLessons = advise(errors.New("this shop has no lessons: it is not a lab build"), "make demo starts one that has.")

func (r *run) lessons(c *client.Client) (lessons, error) {
	all, err := client.Get[lessons](r.ctx, c, lessonsPath)
	if client.Is(err, wire.KindNotFound) {
		return all, errNoLessons
	}
	return all, err
}

type listLessons struct{}

// Run lists.
func (listLessons) Run(r *run) error {
	c, _, err := r.shop()
	if err != nil {
		return err
	}
	all, err := r.lessons(c)
	if err != nil {
		return err
	}
	return r.screen.Result(all, func() {
		rows := make([][]screen.Cell, 0, len(all.Data))
		for _, l := range all.Data {
			naive := ""
			if l.Naive {
				naive = "yes"
			}
			rows = append(rows, []screen.Cell{
				screen.T(fmt.Sprint(l.Number)), screen.In(screen.Strong, l.Slug), screen.T(l.Summary), screen.T(fmt.Sprint(l.Minutes)), screen.T(naive),
			})
		}
		r.screen.Table([]string{"#", "lesson", "what it shows", "minutes", "naive too"}, rows)
	})
}

type runLesson struct {
	Name     string        `arg:"" help:"Its name, such as double-click."`
	Naive    bool          `help:"On the shop without protections."`
	Predict  string        `help:"What you think will happen: one of the options that the lesson offers." placeholder:"OPTION"`
	Queries  bool          `help:"Show what was asked to decide each check."`
	Patience time.Duration `help:"How long the run may take." default:"5m"`
}

// lessonRun is a run's state. Fields that a later shop adds are left alone.
type lessonRun struct {
	ID    string `json:"id"`
	Slug  string `json:"slug"`
	Shop  string `json:"shop"`
	State string `json:"state"`
	Ok    bool   `json:"ok"`
	Steps []struct {
		At   wire.Time `json:"at"`
		Text string    `json:"text"`
	} `json:"steps"`
	Checks []struct {
		ID        string `json:"id"`
		Statement string `json:"statement"`
		Ok        bool   `json:"ok"`
		Seen      string `json:"seen"`
		Expected  string `json:"expected"`
		Query     string `json:"query"`
	} `json:"checks"`
	Prediction     *string `json:"prediction"`
	Truth          *string `json:"truth"`
	PredictedRight *bool   `json:"predicted_right"`
	PaymentID      *string `json:"payment_id"`
	Error          *string `json:"error"`
}

// Run runs a lesson.
func (l *runLesson) Run(r *run) error {
	c, _, err := r.shop()
	if err != nil {
		return err
	}
	if err := l.known(r, c); err != nil {
		return err
	}
	begun, err := l.begin(r, c)
	if err != nil {
		return err
	}
	done, err := l.follow(r, c, begun.ID)
	if err != nil {
		return err
	}
	err = r.screen.Result(done, func() { l.draw(r, done) })
	if done.State != "finished" || !done.Ok {
		err = errors.Join(err, errShown)
	}
	return err
}

// known refuses a name that is no lesson's, and a prediction that is none of its
// options.
func (l *runLesson) known(r *run, c *client.Client) error {
	all, err := r.lessons(c)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(all.Data))
	found := false
	for _, one := range all.Data {
		names = append(names, one.Slug)
		found = found || one.Slug == l.Name
	}
	if !found {
		return advise(fmt.Errorf("no lesson is called %q", l.Name), "There are: "+strings.Join(names, ", ")+".")
	}
	return l.foreseen(r, c)
}

func (l *runLesson) foreseen(r *run, c *client.Client) error {
	type option struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	}
	text, err := client.Get[struct {
		Predict struct {
			Question string   `json:"question"`
			Options  []option `json:"options"`
		} `json:"predict"`
	}](r.ctx, c, lessonsPath+"/"+url.PathEscape(l.Name))
	if err != nil {
		return err
	}
	ids, offered := make([]string, 0, len(text.Predict.Options)), false
	for _, o := range text.Predict.Options {
		ids = append(ids, o.ID)
		offered = offered || o.ID == l.Predict
	}
	if l.Predict != "" && !offered {
		return &usageError{fmt.Sprintf("--predict must be one of %s", strings.Join(ids, ", "))}
	}
	if l.Predict == "" && !r.screen.JSON() && len(ids) > 0 {
		r.screen.Say(screen.In(screen.Strong, text.Predict.Question))
		for _, o := range text.Predict.Options {
			r.screen.Say(screen.T("  --predict " + o.ID + "   " + o.Text))
		}
	}
	return nil
}

func (l *runLesson) begin(r *run, c *client.Client) (lessonRun, error) {
	body := map[string]string{"shop": "payonce"}
	if l.Naive {
		body["shop"] = "naive"
	}
	if l.Predict != "" {
		body["prediction"] = l.Predict
	}
	return client.Post[lessonRun](r.ctx, c, lessonsPath+"/"+url.PathEscape(l.Name)+"/runs", body)
}

// follow reads the run until it has ended, telling each step once. A lesson may
// kill the api that is asked: silence is waited out.
func (l *runLesson) follow(r *run, c *client.Client, id string) (lessonRun, error) {
	ctx, cancel := context.WithTimeout(r.ctx, l.Patience)
	defer cancel()
	var now lessonRun
	shown := 0
	err := client.Until(ctx, func() (bool, error) {
		answer, _, err := c.UntilAnswered(ctx, client.Request{Method: "GET", Path: "/v1/lab/lesson-runs/" + url.PathEscape(id)}, func(client.Waiting) {})
		if err != nil {
			return false, err
		}
		if now, err = client.Read[lessonRun](answer); err != nil {
			return false, err
		}
		for ; shown < len(now.Steps); shown++ {
			if !r.screen.JSON() {
				step := now.Steps[shown]
				r.screen.Say(screen.In(screen.Soft, step.At.Time().Local().Format("15:04:05.000")), screen.T(step.Text))
			}
		}
		return now.State != "running", nil
	})
	return now, err
}

func (l *runLesson) draw(r *run, done lessonRun) {
	heads := []string{"", "check", "seen", "expected"}
	if l.Queries {
		heads = append(heads, "asked")
	}
	rows := make([][]screen.Cell, 0, len(done.Checks))
	for _, check := range done.Checks {
		mark := screen.In(screen.Good, "✓")
		if !check.Ok {
			mark = screen.In(screen.Bad, "✗")
		}
		row := []screen.Cell{mark, screen.T(check.Statement), screen.T(check.Seen), screen.T(check.Expected)}
		if l.Queries {
			row = append(row, screen.In(screen.Soft, check.Query))
		}
		rows = append(rows, row)
	}
	r.screen.Table(heads, rows)
	r.screen.Line()
	switch {
	case done.State == "failed" && done.Error != nil:
		r.screen.Line(screen.In(screen.Bad, "The scenario could not be played to its end: "+*done.Error))
	case done.State != "finished":
		r.screen.Line(screen.In(screen.Open, "The run is "+done.State+"."))
	case done.Ok:
		r.screen.Line(screen.In(screen.Good, "Every check holds."))
	default:
		r.screen.Line(screen.In(screen.Bad, "Not every check holds."))
	}
	if done.Truth != nil && done.PredictedRight != nil {
		words := "You predicted it: "
		if !*done.PredictedRight {
			words = "You predicted something else; what happened is: "
		}
		r.screen.Line(screen.T(words + *done.Truth + "."))
	}
	r.screen.Line(screen.In(screen.Soft, "Why: "+r.place.url+"/lab/"+done.Slug))
}
