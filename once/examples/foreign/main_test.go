package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"payonce/once/oncetest"
	"payonce/once/oncetest/killtest"
	oncepgx "payonce/once/pgx"
)

// asClub makes this test binary the program.
const asClub = "ONCE_TEST_AS_CLUB"

func TestMain(m *testing.M) {
	if door := os.Getenv(asClub); door != "" {
		os.Args = []string{"club", "-postgres", os.Getenv(killtest.EnvPostgres), "-amqp", os.Getenv(killtest.EnvAMQP), "-listen", os.Getenv(killtest.EnvListen), "-door", door}
		main()
		return
	}
	oncetest.Main(m)
}

// doors is the door's company: one account for a key, and it counts.
type doors struct {
	mu       sync.Mutex
	accounts map[string]int // by key
	opened   map[string]int // by member
}

func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/accounts/")
	if d.accounts[key] == 0 {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		d.accounts[key] = len(d.accounts) + 1
		d.opened[strings.Split(key, ":")[1]]++
	}
	_, _ = fmt.Fprintf(w, `{"number": "%d"}`, d.accounts[key])
}

func (d *doors) of(member string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened[member]
}

// A member is activated once, has one account, one invoice and one letter, wherever the
// program is killed.
func subject(t *testing.T) killtest.Subject {
	far := &doors{accounts: map[string]int{}, opened: map[string]int{}}
	company := httptest.NewServer(far)
	t.Cleanup(company.Close)
	var pool *pgxpool.Pool
	return killtest.Subject{
		Broker: true,
		Prepare: func(t testing.TB, at killtest.Services) {
			var err error
			pool, err = pgxpool.New(t.Context(), at.Postgres)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
		},
		Start: killtest.Command(os.Args[0], nil, asClub+"="+company.URL),
		Act:   killtest.Post("/members/"),
		Effects: func(ctx context.Context, _ killtest.Services, id string) (map[string]int, error) {
			counted := map[string]int{"the account": far.of(id)}
			for what, query := range map[string]string{
				"the activation": `SELECT count(*) FROM club.members WHERE id = $1 AND status = 'active'`,
				"the invoice":    `SELECT count(*) FROM club.invoices WHERE member = $1`,
				"the letter":     `SELECT count(*) FROM club.letters WHERE member = $1`,
			} {
				var n int
				if err := pool.QueryRow(ctx, query, id).Scan(&n); err != nil {
					return nil, err
				}
				counted[what] = n
			}
			return counted, nil
		},
	}
}

func TestAMemberIsActivatedOnceAlsoWhenTheProgramDiesRightAfterItsAnswer(t *testing.T) {
	t.Parallel()
	s := subject(t)
	s.Most, s.Crowd = 1, 5
	killtest.Run(t, s)
}

// While the door's company lets no one in nothing was sent, and key and member are as if
// they had never been asked for.
func TestWhatWasCertainlyNotSentIsTakenBackAndTheSameKeyActivatesLater(t *testing.T) {
	t.Parallel()
	far := &doors{accounts: map[string]int{}, opened: map[string]int{}}
	company := httptest.NewServer(far)
	t.Cleanup(company.Close)
	c := open(t, "http://127.0.0.1:1")
	ask := c.ask
	code, body := ask("ada", "K")
	require.Equal(t, http.StatusServiceUnavailable, code, body)
	c.door = company.URL
	code, body = ask("ada", "K")
	require.Equal(t, http.StatusCreated, code, body)
	require.Equal(t, "door account 1", body)
	again, same := ask("ada", "K")
	require.Equal(t, []any{code, body}, []any{again, same}, "a repetition gets the same bytes")
	code, _ = ask("bob", "K")
	require.Equal(t, http.StatusUnprocessableEntity, code, "the key is another member's")
	code, body = ask("ada", "another")
	require.Equal(t, []any{http.StatusOK, "a member already"}, []any{code, body})
	require.Equal(t, 1, far.of("ada"))
}

// Fifty clicks are one answer: those that come while the door's company works wait for it.
func TestTwinsOfARequestUnderWayGetItsAnswer(t *testing.T) {
	t.Parallel()
	far := &doors{accounts: map[string]int{}, opened: map[string]int{}}
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	company := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked <- struct{}{}
			<-goOn
		}
		far.ServeHTTP(w, r)
	}))
	t.Cleanup(company.Close)
	c := open(t, company.URL)
	var clicks sync.WaitGroup
	codes := make([]int, 50)
	click := func(i int) { codes[i], _ = c.ask("ada", "K") }
	clicks.Go(func() { click(0) })
	<-asked
	for i := 1; i < len(codes); i++ {
		clicks.Go(func() { click(i) })
	}
	require.Eventually(t, func() bool { return c.twins.Waiting("ada:1") == len(codes)-1 }, 10*time.Second, time.Millisecond)
	close(goOn)
	clicks.Wait()
	for _, code := range codes {
		require.Equal(t, http.StatusCreated, code)
	}
	require.Equal(t, 1, far.of("ada"))
}

func TestAMemberWhoCannotBeIsNotFoundAndNothingIsDone(t *testing.T) {
	t.Parallel()
	c := open(t, "http://127.0.0.1:1")
	for _, member := range []string{strings.Repeat("a", 201), "a\x00", "\xff"} {
		code, _ := c.ask(member, "K")
		require.Equal(t, http.StatusNotFound, code)
	}
}

// asked is the program in this process.
type asked struct {
	*club
	t *testing.T
}

func open(t *testing.T, door string) asked {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	sessions, err := oncepgx.Configure(oncetest.Postgres(t))
	require.NoError(t, err)
	pool, err := pgxpool.NewWithConfig(ctx, sessions)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c, _, err := start(ctx, oncepgx.New(pool), oncetest.Broker(t), door, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return asked{c, t}
}

func (a asked) ask(member, key string) (int, string) {
	r := httptest.NewRequestWithContext(a.t.Context(), http.MethodPost, "/members/x", nil)
	r.SetPathValue("id", member)
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	a.activate(w, r)
	return w.Code, w.Body.String()
}
