package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// Pair is a Postgres and its standby, of which either may be the primary. A commit
// is acknowledged when both have it, also after a failover: until there is a new
// standby, none is.
type Pair struct {
	engines  [2]*postgres
	services [2]*Service

	mu      sync.Mutex
	primary int
	follows *proc.Process // the standby that has had every commit since it began to follow
}

func newPair(first *postgres, service *Service, port int) *Pair {
	second := first.beside("standby", port)
	p := &Pair{engines: [2]*postgres{first, second}, services: [2]*Service{service, {Name: second.place, engine: second}}}
	if name, err := os.ReadFile(p.note()); err == nil && strings.TrimSpace(string(name)) == second.place {
		p.primary = 1
	}
	return p
}

// note is the file that says, after a failover, which of the two is the primary.
func (p *Pair) note() string { return filepath.Join(p.engines[0].dir, "primary") }

func (p *Pair) other(service *Service) *Service {
	if service == p.services[0] {
		return p.services[1]
	}
	return p.services[0]
}

// Primary is the one that takes writes.
func (p *Pair) Primary() *Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.services[p.primary]
}

// Standby is the other one.
func (p *Pair) Standby() *Service { return p.other(p.Primary()) }

// Addresses are where the two listen, in an order that no failover changes.
func (p *Pair) Addresses() []string { return []string{p.engines[0].address(), p.engines[1].address()} }

// dsn finds the primary, whichever it is.
func (p *Pair) dsn(database string) string { return p.Through(database, p.Addresses()) }

// Through addresses one database of the primary by other addresses of the two, such
// as proxies', in a form that lib/pq and libpq both read.
func (p *Pair) Through(database string, addresses []string) string {
	dsn := p.engines[0].dsn(database)
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn // this package made it: cannot happen
	}
	hosts, ports := make([]string, len(addresses)), make([]string, len(addresses))
	for i, address := range addresses {
		hosts[i], ports[i], _ = strings.Cut(address, ":")
	}
	u.Host = ""
	// Written by hand: libpq reads commas, and an encoded one too, but people do not.
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&", "&") + "host=" + strings.Join(hosts, ",") + "&port=" + strings.Join(ports, ",") +
		"&target_session_attrs=read-write&connect_timeout=3"
	return u.String()
}

// start brings up the primary, and then its standby.
func (p *Pair) start(ctx context.Context, say func(string)) error {
	began := time.Now()
	if err := p.engine(true).launchable(); err != nil {
		return err
	}
	if err := p.Primary().Start(ctx); err != nil {
		return err
	}
	p.engines[0].kept = true
	say(started(p.Primary(), p.engine(true).address(), began))
	began = time.Now()
	if err := p.follow(ctx); err != nil {
		return err
	}
	say(started(p.Standby(), p.engine(false).address(), began) + ", its standby")
	return nil
}

func (p *Pair) engine(primary bool) *postgres {
	p.mu.Lock()
	defer p.mu.Unlock()
	if primary {
		return p.engines[p.primary]
	}
	return p.engines[1-p.primary]
}

// launchable makes sure that a primary does not wait for one: it may have been told
// to be the primary just before all was killed.
func (p *postgres) launchable() error {
	err := os.Remove(filepath.Join(p.data(), "standby.signal"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("primary: %w", err)
	}
	return nil
}

func (p *Pair) follow(ctx context.Context) error {
	p.nowFollows(nil)
	if err := follow(ctx, p.engine(true), p.engine(false), p.Standby()); err != nil {
		return err
	}
	p.nowFollows(p.Standby().Process())
	return nil
}

func (p *Pair) nowFollows(standby *proc.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follows = standby
}

// mayTakeOver says whether the standby runs and has had every commit.
func (p *Pair) mayTakeOver() bool {
	standby := p.Standby()
	p.mu.Lock()
	defer p.mu.Unlock()
	return running(standby) && standby.Process() == p.follows
}

// promote makes the standby the primary. The primary must have ended: it may not
// come back as one.
func (p *Pair) promote(ctx context.Context) error {
	next := p.engine(false)
	// Written down first: of the two, only the one that is promoted has all commits
	// from here on.
	if err := os.WriteFile(p.note(), []byte(next.place+"\n"), 0o644); err != nil { //nolint:gosec // a name
		return fmt.Errorf("promote: %w", err)
	}
	// Asked again after a lost answer: a server that is the primary already refuses.
	if err := statement(ctx, next.dsn("postgres"), promoteSQL); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primary = 1 - p.primary
	return nil
}

const promoteSQL = `
DO $$ BEGIN
  IF pg_is_in_recovery() AND NOT pg_promote(true, 50) THEN
    RAISE EXCEPTION 'the standby is not the primary after 50 s';
  END IF;
END $$`

// PairKeeper hears of what happens to a pair that is kept. All may be nil.
type PairKeeper struct {
	// Ended hears of the end of the primary or of the standby.
	Ended func(role string, process *proc.Process)
	// Back hears who has the role now; in a failover the primary is a process that
	// ran before.
	Back func(role string, process *proc.Process, took time.Duration)
	// Failed hears of what did not succeed and is tried again.
	Failed func(role string, err error)
}

// The roles in a pair.
const (
	RolePrimary = "postgres"
	RoleStandby = "standby"
)

// Keep makes the standby the primary when that ends, and sees to it that there is
// a standby, until ctx ends.
func (p *Pair) Keep(ctx context.Context, k PairKeeper) {
	for ctx.Err() == nil {
		primary, standby := p.Primary().Process(), p.Standby().Process()
		select {
		case <-ctx.Done():
		case <-primary.Done():
			p.mend(ctx, k, RolePrimary, primary, p.replace)
		case <-ended(standby):
			p.mend(ctx, k, RoleStandby, standby, p.follow)
		}
	}
}

func ended(process *proc.Process) <-chan struct{} {
	if process != nil {
		return process.Done()
	}
	never := make(chan struct{})
	close(never)
	return never
}

// mend does what is due until it succeeds, or until the other of the two is what
// must be mended first.
func (p *Pair) mend(ctx context.Context, k PairKeeper, role string, process *proc.Process, how func(context.Context) error) {
	began := time.Now()
	if k.Ended != nil && process != nil {
		k.Ended(role, process)
	}
	for ctx.Err() == nil {
		err := how(ctx)
		if err == nil {
			break
		}
		if ctx.Err() == nil && k.Failed != nil {
			k.Failed(role, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
		if role == RoleStandby && !running(p.Primary()) {
			return
		}
	}
	now := p.Primary()
	if role == RoleStandby {
		now = p.Standby()
	}
	if k.Back != nil && ctx.Err() == nil {
		k.Back(role, now.Process(), time.Since(began))
	}
}

func running(service *Service) bool {
	process := service.Process()
	return process != nil && process.Running()
}

// replace puts the standby in the primary's place, or starts the primary again
// where there is none that has had every commit: then it alone has.
func (p *Pair) replace(ctx context.Context) error {
	if p.mayTakeOver() {
		return p.promote(ctx)
	}
	return p.Primary().Start(ctx)
}
