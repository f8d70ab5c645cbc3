package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
)

// The exit codes.
const (
	OK      = 0
	Refused = 1
	Usage   = 2
	Silent  = 3
)

// grammar is the command line: flags, environment and help at once.
type grammar struct {
	URL           string `help:"The shop's address; without it the demo of this folder is asked." env:"PAYONCE_URL" placeholder:"URL" group:"where"`
	APIKey        string `name:"api-key" help:"Whose rows: a sandbox's API key. Without one a sandbox is made and kept." env:"PAYONCE_API_KEY" placeholder:"sk_test_…" group:"where"`
	OperatorToken string `help:"For --all and events; the demo's is known." env:"PAYONCE_OPERATOR_TOKEN" placeholder:"TOKEN" group:"where"`
	DataDir       string `help:"The demo's data folder; without it .payonce is looked for, here and above." env:"PAYONCE_DATA_DIR" placeholder:"DIR" group:"where"`
	JSON          bool   `name:"json" help:"Results as JSON, as they are for a pipe." xor:"form" group:"form"`
	Table         bool   `help:"Results as tables, as they are on a terminal." xor:"form" group:"form"`
	NoColor       bool   `help:"No colours; the variable NO_COLOR says the same." group:"form"`

	Buy         buyCommand     `cmd:"" help:"Buy tickets, clicking more than once."`
	Burst       burstCommand   `cmd:"" help:"Click many times at once, from outside of the shop."`
	Proof       proofCommand   `cmd:"" help:"Show a payment's attempts and effects."`
	Refund      refundCommand  `cmd:"" help:"Give money back, step by step."`
	Watch       watchCommand   `cmd:"" help:"Follow what happens as it happens."`
	Audit       auditCommand   `cmd:"" help:"Check every invariant now."`
	DeadLetters lettersCommand `cmd:"" help:"Look at messages that could not be applied, and decide."`
	Events      eventsCommand  `cmd:"" help:"Send lost events again, or take that back; the operator's."`
	Lesson      lessonCommand  `cmd:"" help:"List the lessons, or run one."`
	Sandbox     sandboxCommand `cmd:"" help:"Show whose rows are shown, or change it."`
	Doctor      doctorCommand  `cmd:"" help:"Find out what is wrong with this demo, and what to do."`
	Migrate     migrateCommand `cmd:"" help:"Bring the database's schema up to date, or show its state."`
}

const about = `Click twice, pay once, from a terminal. Talks to the running demo (make demo), or to any payonce shop.

Examples:

    payonce buy                                  two clicks, one charge
    payonce buy --card tok_timeout_after         the provider's answer is lost
    payonce burst --attempts 50 --keys fresh     fifty clicks, fifty keys
    payonce watch                                every step of them, live
    payonce audit && echo all of it holds
    payonce buy | jq .proof.effects              JSON for programs

Exit codes: 0 it holds, or it was done; 1 it does not hold, or it was refused; 2 the command line cannot be understood; 3 nobody answers.`

// Main is the whole program: it runs the command of args and returns the exit
// code. When ctx ends, what was begun is left as it is: a payment that was
// clicked for goes on in the shop.
func Main(ctx context.Context, args []string, out, err *os.File) int {
	var g grammar
	helped := false
	parser, wrong := kong.New(&g, kong.Name("payonce"), kong.Description(about), kong.Writers(out, err),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ExplicitGroups([]kong.Group{{Key: "where", Title: "Which shop, and who is asking:"}, {Key: "form", Title: "How results are written:"}}))
	if wrong != nil {
		fmt.Fprintln(err, "payonce:", wrong)
		return Usage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, wrong := parser.Parse(args)
	if helped {
		return OK
	}
	s := screen.New(out, err, screen.Options{JSON: g.JSON, Table: g.Table, NoColour: g.NoColor})
	if wrong == nil {
		r := &run{ctx: ctx, grammar: &g, screen: s}
		wrong = command.Run(r)
	} else {
		wrong = &usageError{wrong.Error() + " (see payonce --help)"}
	}
	if wrong != nil && ctx.Err() == nil {
		complain(s, wrong)
	}
	return exitCode(wrong)
}

// run is what a command works with.
type run struct {
	ctx     context.Context //nolint:containedctx // lives as long as the one command of this process
	grammar *grammar
	screen  *screen.Screen
	place   *place // once it was looked for
}

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// errShown says that the result on the screen is itself the bad news.
var errShown = errors.New("the result is bad, and was shown")

// advised is a failure with its remedy.
type advised struct {
	err    error
	remedy string
}

func (e *advised) Error() string { return e.err.Error() }
func (e *advised) Unwrap() error { return e.err }

func advise(err error, remedy string) error { return &advised{err: err, remedy: remedy} }

func exitCode(err error) int {
	var usage *usageError
	var refused *client.Refusal
	switch {
	case err == nil:
		return OK
	case errors.As(err, &usage):
		return Usage
	case errors.Is(err, client.ErrSilence), errors.Is(err, errNoShop):
		return Silent
	case errors.As(err, &refused) && refused.Problem.Status == http.StatusServiceUnavailable:
		return Silent
	}
	return Refused
}

// complaint is a failure for programs: the title and the detail of a problem,
// what to do about it, and the shop's own document when it refused.
type complaint struct {
	Title   string        `json:"title"`
	Detail  string        `json:"detail"`
	Remedy  string        `json:"remedy,omitempty"`
	Problem *wire.Problem `json:"problem,omitempty"`
}

// complain says what went wrong and what to do about it, on standard error.
func complain(s *screen.Screen, err error) {
	if errors.Is(err, errShown) {
		return
	}
	c := complaint{Title: "payonce", Detail: err.Error()}
	var refused *client.Refusal
	if errors.As(err, &refused) {
		c = complaint{Title: refused.Problem.Title, Detail: refused.Problem.Detail, Problem: &refused.Problem}
		for _, kind := range wire.Kinds {
			if kind.Slug == refused.Slug() {
				c.Remedy = kind.Remedy
			}
		}
	}
	if errors.Is(err, client.ErrSilence) {
		c.Remedy = "Look whether the shop runs: payonce doctor. What was asked for may have happened or not; asking again with the same key is safe."
	}
	var a *advised
	if errors.As(err, &a) {
		c.Remedy = a.remedy
	}
	if s.JSON() {
		_ = s.SayJSON(c) // whoever closed standard error does not want to know
		return
	}
	s.Say(screen.In(screen.Bad, "✗ "+c.Title+":"), screen.T(c.Detail))
	if c.Problem != nil {
		for _, place := range places(*c.Problem) {
			s.Say(screen.T("  " + place))
		}
		if c.Problem.RequestID != nil {
			s.Say(screen.In(screen.Soft, "  request id "+*c.Problem.RequestID))
		}
	}
	if c.Remedy != "" {
		s.Say(screen.In(screen.Strong, "  What to do: "), screen.T(c.Remedy))
	}
}

// places names what a problem points at.
func places(p wire.Problem) (lines []string) {
	if p.Errors == nil {
		return nil
	}
	for _, e := range *p.Errors {
		where := ""
		if e.Pointer != nil {
			where = *e.Pointer
		}
		if e.Parameter != nil {
			where = *e.Parameter
		}
		lines = append(lines, strings.TrimSpace(where+"  "+e.Detail))
	}
	return lines
}
