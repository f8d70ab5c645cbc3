package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	appconfig "payonce/internal/platform/config"
)

// simulator is the program as a process of its own.
type simulator struct {
	t         *testing.T
	dsn       string
	web, mail string
	command   *exec.Cmd
	output    *bytes.Buffer
}

// asSimulator makes this test binary the simulator itself.
const asSimulator = "PAYONCE_TEST_AS_SIMULATOR"

func TestMain(m *testing.M) {
	if os.Getenv(asSimulator) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(env, asSimulator+"=1")
	return cmd
}

func prepare(t *testing.T) *simulator {
	t.Helper()
	return &simulator{t: t, dsn: devtest.EmptyDSN(t), web: freeAddr(t), mail: freeAddr(t)}
}

// start returns when the simulator is healthy.
func (s *simulator) start() {
	s.t.Helper()
	s.output = &bytes.Buffer{}
	s.command = command(append(os.Environ(), "PAYONCE_SIMULATOR_POSTGRES_DSN="+s.dsn,
		"PAYONCE_SIMULATOR_LISTEN="+s.web, "PAYONCE_SIMULATOR_SMTP_LISTEN="+s.mail))
	s.command.Stdout, s.command.Stderr = s.output, s.output
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	process := s.command.Process
	s.t.Cleanup(func() { _ = process.Kill() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		answer, err := s.provider().Send(context.Background(), client.Request{Method: http.MethodGet, Path: "/healthz"})
		if err == nil && answer.Status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not healthy within 30 s: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// stop signals the process and returns its output and how it ended.
func (s *simulator) stop(signal syscall.Signal) (string, error) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	err := s.command.Wait()
	return s.output.String(), err
}

// provider is a caller whose connections do not outlive the process.
func (s *simulator) provider() *client.Client {
	return client.New("http://"+s.web, "", client.Options{Timeout: 10 * time.Second})
}

// charge makes one attempt under a key; an empty body is no answer.
func (s *simulator) charge(key string) (status int, body string) {
	answer, err := s.provider().Send(context.Background(), client.Request{
		Method: http.MethodPost, Path: "/v1/charges", Key: key,
		Raw: []byte(`{"reference":"pay_1","amount_minor":4200,"currency":"EUR","token":"tok_ok"}`),
	})
	if err != nil {
		return 0, ""
	}
	return answer.Status, string(answer.Body)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	address, err := devstack.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestKilledFiveTimesUnderLoadEveryKeyIsOneChargeAndItsAnswer(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	s.start()
	answers := sync.Map{} // key to the first body seen
	var charged atomic.Int64
	done := make(chan struct{})
	var buyers sync.WaitGroup
	for buyer := range 8 {
		buyers.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("k-%d-%d", buyer, n)
				for status := 0; status != http.StatusCreated; { // the same key until it is answered
					select {
					case <-done:
						return
					default:
					}
					var body string
					if status, body = s.charge(key); status == http.StatusCreated {
						answers.Store(key, body)
						charged.Add(1)
					}
				}
			}
		})
	}
	for range 5 {
		reached := charged.Load() + 100
		waitUntil(t, func() bool { return charged.Load() >= reached })
		_, _ = s.stop(syscall.SIGKILL)
		s.start()
	}
	close(done)
	buyers.Wait()
	s.checkBooks(&answers)
}

// checkBooks compares what the clients were told with what is written.
func (s *simulator) checkBooks(answers *sync.Map) {
	s.t.Helper()
	db, err := sql.Open("postgres", s.dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]int{
		`SELECT count(*) FROM (SELECT 1 FROM charges GROUP BY idempotency_key HAVING count(*) > 1) AS twice`:       0,
		`SELECT count(*) FROM charges WHERE NOT EXISTS (SELECT FROM charge_keys WHERE charge_id = charges.id)`:     0,
		`SELECT count(*) FROM charge_keys WHERE NOT EXISTS (SELECT FROM charges WHERE charge_keys.charge_id = id)`: 0,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != want {
			s.t.Errorf("%s: %d, %v", query, n, err)
		}
	}
	compared := 0
	answers.Range(func(key, body any) bool {
		compared++
		if status, again := s.charge(fmt.Sprint(key)); status != http.StatusCreated || again != body {
			s.t.Errorf("%v was answered %v, and now %d %s", key, body, status, again)
		}
		return compared < 1000
	})
	s.t.Logf("%d answers compared", compared)
}

func TestAFirstTryThatWasSpoiltBeforeTheKillIsNotSpoiltAgainAfterIt(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	s.start()
	body := `{"reference":"pay_1","amount_minor":1,"currency":"EUR","token":"tok_500_then_ok"}`
	for _, want := range []int{http.StatusInternalServerError, http.StatusCreated} {
		answer, err := s.provider().Send(t.Context(), client.Request{Method: http.MethodPost, Path: "/v1/charges", Raw: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != want {
			t.Errorf("got %d, want %d", answer.Status, want)
		}
		_, _ = s.stop(syscall.SIGKILL)
		s.start()
	}
	listed, err := client.Get[struct{ Data []world.Charge }](t.Context(), s.provider(), "/v1/charges")
	if err != nil || len(listed.Data) != 1 {
		t.Errorf("%d charges, want 1 (%v)", len(listed.Data), err)
	}
}

func TestSIGTERMEndsItWithStatus0AndNothingListens(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	s.start()
	if out, err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v:\n%s", err, out)
	}
	for _, addr := range []string{s.web, s.mail} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

func TestHelpNamesEverySettingWithItsVariableAndItsDefault(t *testing.T) {
	t.Parallel()
	out, err := command(os.Environ(), "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PAYONCE_SIMULATOR_POSTGRES_DSN", "PAYONCE_SIMULATOR_LISTEN", "PAYONCE_SIMULATOR_SMTP_LISTEN",
		"127.0.0.1:8090", "127.0.0.1:2525"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("--help does not say %s:\n%s", want, out)
		}
	}
}

func TestWithoutADatabaseItSaysWhatIsMissingAndEndsWithAnError(t *testing.T) {
	t.Parallel()
	if out, err := command(nil).CombinedOutput(); err == nil || !strings.Contains(string(out), "postgres-dsn") {
		t.Errorf("without a DSN: %v\n%s", err, out)
	}
	if out, err := command(nil, "--postgres-dsn", "postgres://u:secret-word@127.0.0.1:1/none?sslmode=disable").CombinedOutput(); err == nil || !strings.Contains(string(out), "database") || strings.Contains(string(out), "secret-word") {
		t.Errorf("with an unreachable one: %v\n%s", err, out)
	}
}

func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("not within 60 s")
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestAPublicSecretStaysOnLoopbackAndIsSaid(t *testing.T) {
	t.Parallel()
	public := []string{appconfig.DefaultWebhookSecret}
	for name, c := range map[string]struct {
		cfg           config
		refused, said bool
	}{
		"open, and it signs":   {config{Listen: "0.0.0.0:8090", WebhookURL: "http://shop", WebhookSecret: public}, true, false},
		"open, signs nothing":  {config{Listen: "0.0.0.0:8090", WebhookSecret: public}, false, false},
		"open, its own secret": {config{Listen: "0.0.0.0:8090", WebhookURL: "http://shop", WebhookSecret: []string{"whsec_b3du"}}, false, false},
		"loopback":             {config{Listen: "127.0.0.1:8090", WebhookURL: "http://shop", WebhookSecret: public}, false, true},
	} {
		said := &bytes.Buffer{}
		err := c.cfg.checkSecret(slog.New(slog.NewTextHandler(said, nil)))
		if (err != nil) != c.refused || (said.Len() > 0) != c.said {
			t.Errorf("%s: %v, said %q", name, err, said)
		}
		if err != nil && strings.Contains(err.Error(), appconfig.DefaultWebhookSecret) {
			t.Error("the secret is quoted")
		}
	}
}
