package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/cli/screen"
	"payonce/internal/lab/client"
	"payonce/internal/lab/runfile"
)

// place is the shop that is asked, and what is known about it.
type place struct {
	url string
	// demo is run.json, when the shop is the demo of this folder.
	demo *runfile.File
	// dir is the demo's data folder, or "".
	dir string
	// operator is the operator's token, or "".
	operator string
}

// errNoShop says that no shop is named and no demo was found.
var errNoShop = errors.New("no demo runs in this folder or above it, and no --url is given")

// where finds the shop: by --url, or by the run.json of a demo's data folder,
// here or in a folder above.
func (r *run) where() (*place, error) {
	if r.place != nil {
		return r.place, nil
	}
	p := &place{url: r.grammar.URL, operator: r.grammar.OperatorToken, dir: r.dataDir()}
	if p.dir != "" {
		file, err := runfile.Read(p.dir)
		switch {
		case err == nil && (p.url == "" || p.url == file.URL):
			p.demo, p.url = &file, file.URL
			if p.operator == "" {
				p.operator = file.OperatorToken
			}
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return nil, advise(err, "Remove it, and start the demo again: make demo.")
		}
	}
	if p.url == "" {
		return nil, advise(errNoShop, "Start one: make demo. Or name one: --url http://host:port.")
	}
	r.place = p
	return p, nil
}

// dataDir is the demo's data folder; "" when there is none.
func (r *run) dataDir() string {
	if r.grammar.DataDir != "" {
		return r.grammar.DataDir
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		found := filepath.Join(dir, runfile.Folder)
		if info, err := os.Stat(found); err == nil && info.IsDir() {
			return found
		}
		if filepath.Dir(dir) == dir {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// kept is cli.json: the sandboxes that this command line has made or was given,
// by the shop's address; "demo" is the demo beside it, which may change ports.
type kept struct {
	Sandboxes map[string]wire.Sandbox `json:"sandboxes"`
}

func (p *place) name() string {
	if p.demo != nil {
		return "demo"
	}
	return p.url
}

// keepFile is where cli.json is: beside run.json, or in the user's own folder.
func (p *place) keepFile() (string, error) {
	if p.dir != "" {
		return filepath.Join(p.dir, "cli.json"), nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where to keep the sandbox: %w", err)
	}
	return filepath.Join(config, "payonce", "cli.json"), nil
}

func (p *place) read() (kept, error) {
	k := kept{Sandboxes: map[string]wire.Sandbox{}}
	path, err := p.keepFile()
	if err != nil {
		return k, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return k, advise(fmt.Errorf("read %s: %w", path, err), "Remove it; the next command makes a new sandbox.")
	}
	if k.Sandboxes == nil {
		k.Sandboxes = map[string]wire.Sandbox{}
	}
	return k, nil
}

// keep remembers the sandbox for the next command.
func (p *place) keep(s wire.Sandbox) error {
	k, err := p.read()
	if err != nil {
		return err
	}
	k.Sandboxes[p.name()] = s
	path, err := p.keepFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("folder of %s: %w", path, err)
	}
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return runfile.Replace(path, append(text, '\n'))
}

// userAgent is how the command line introduces itself.
const userAgent = "payonce-cli"

// shopAt is a client of the shop at an address.
func shopAt(url, token string) *client.Client {
	return client.New(url, token, client.Options{UserAgent: userAgent, HeaderTimeout: 40 * time.Second, Idle: 64})
}

// shop is a client with the sandbox that it asks for.
func (r *run) shop() (*client.Client, wire.Sandbox, error) {
	p, err := r.where()
	if err != nil {
		return nil, wire.Sandbox{}, err
	}
	if key := r.grammar.APIKey; key != "" {
		c := shopAt(p.url, key)
		who, err := current(r, c)
		return c, who, err
	}
	k, err := p.read()
	if err != nil {
		return nil, wire.Sandbox{}, err
	}
	if known, found := k.Sandboxes[p.name()]; found {
		c := shopAt(p.url, known.APIKey)
		who, err := current(r, c)
		if !client.Is(err, wire.KindAuthenticationRequired) {
			return c, who, err
		}
		r.screen.Say(screen.In(screen.Open, "The shop no longer knows the sandbox of the last time; here is a new one."))
	}
	return r.newSandbox(p)
}

func (r *run) newSandbox(p *place) (*client.Client, wire.Sandbox, error) {
	who, err := client.Post[wire.Sandbox](r.ctx, shopAt(p.url, ""), "/v1/sandboxes", struct{}{})
	if err != nil {
		return nil, who, err
	}
	return shopAt(p.url, who.APIKey), who, p.keep(who)
}

func current(r *run, c *client.Client) (wire.Sandbox, error) {
	return client.Get[wire.Sandbox](r.ctx, c, "/v1/sandboxes/current")
}

// asked is the sandbox's client, or with all the operator's.
func (r *run) asked(all bool) (*client.Client, error) {
	if !all {
		c, _, err := r.shop()
		return c, err
	}
	p, err := r.where()
	if err != nil {
		return nil, err
	}
	if p.operator == "" {
		return nil, &usageError{"this needs the operator's token: give --operator-token, or run beside the demo"}
	}
	return shopAt(p.url, p.operator), nil
}

type sandboxCommand struct {
	New bool   `help:"Make a new one; the rows of the old one are no longer shown." xor:"which"`
	Use string `help:"Show another one's rows from now on, such as your browser's: its key is on the page /developers." placeholder:"sk_test_…" xor:"which"`
}

// Help implements kong.HelpProvider.
func (sandboxCommand) Help() string {
	return `A sandbox is a merchant of its own: nobody else sees its rows. The first command makes one and keeps it in .payonce/cli.json.

Examples:

    payonce sandbox
    payonce sandbox --use sk_test_…     the browser and the terminal show the same rows`
}

// Run shows or changes the sandbox.
func (s *sandboxCommand) Run(r *run) error {
	p, err := r.where()
	if err != nil {
		return err
	}
	var who wire.Sandbox
	switch {
	case s.New:
		_, who, err = r.newSandbox(p)
	case s.Use != "":
		if who, err = current(r, shopAt(p.url, s.Use)); err == nil {
			err = p.keep(who)
		}
	default:
		_, who, err = r.shop()
	}
	if err != nil {
		return err
	}
	return r.screen.Result(who, func() {
		for _, line := range [][2]string{{"shop", p.url}, {"sandbox", who.MerchantID}, {"API key", who.APIKey}, {"address", who.Email}} {
			r.screen.Line(screen.In(screen.Strong, fmt.Sprintf("%-8s", line[0])), screen.T(line[1]))
		}
	})
}
