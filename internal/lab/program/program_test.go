package program_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/program"
)

// asProgram makes this test binary a program that answers 200 at its place.
const asProgram = "PAYONCE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if at := os.Getenv(asProgram); at != "" {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
		if err != nil {
			panic(err)
		}
		server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
		panic(server.Serve(listener))
	}
	os.Exit(m.Run())
}

func answering(t *testing.T) *program.Program {
	t.Helper()
	at, err := devstack.FreeAddress(t.Context())
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	p := program.New(proc.Spec{
		Name: "answering", Path: self, Dir: t.TempDir(), LogFile: filepath.Join(t.TempDir(), "log"), Env: []string{asProgram + "=" + at},
	}, "http://"+at, "/readyz")
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestAProgramThatIsKilledComesBackAtItsPlaceEachTime(t *testing.T) {
	t.Parallel()
	p := answering(t)
	first, err := p.Start(t.Context())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	back, over := make(chan *proc.Process), make(chan struct{})
	go func() {
		defer close(over)
		program.Keeper{Pause: time.Millisecond, Back: func(process *proc.Process, _ time.Duration) { back <- process }}.Keep(ctx, first, p.Start)
	}()
	seen := []int{first.Pid()}
	for range 3 {
		require.NoError(t, p.Kill())
		process := <-back
		require.NotContains(t, seen, process.Pid())
		require.NoError(t, p.Ready(t.Context()))
		seen = append(seen, process.Pid())
	}
	stop()
	<-over
	require.True(t, p.Running(), "who stops keeping does not stop the program")
	require.NoError(t, p.Stop(10*time.Second))
	require.False(t, p.Running())
	require.Error(t, p.Ready(t.Context()))
}

func TestStartsThatFailAreToldAndTriedAgainAfterLongerPauses(t *testing.T) {
	t.Parallel()
	p := answering(t)
	first, err := p.Launch()
	require.NoError(t, err)
	require.NoError(t, first.Kill())
	var tries []time.Time
	failed := 0
	ctx, stop := context.WithCancel(t.Context())
	program.Keeper{
		Pause: 5 * time.Millisecond, Longest: 20 * time.Millisecond,
		Failed: func(error) { failed++ }, Back: func(*proc.Process, time.Duration) { stop() },
	}.Keep(ctx, first, func(context.Context) (*proc.Process, error) {
		if tries = append(tries, time.Now()); len(tries) < 5 {
			return nil, errors.New("not yet")
		}
		return p.Launch()
	})
	require.Equal(t, 4, failed)
	for i, atLeast := range []time.Duration{10, 20, 20, 20} {
		require.GreaterOrEqual(t, tries[i+1].Sub(tries[i]), atLeast*time.Millisecond)
	}
}

func TestAVariableOfOneLifeIsGoneInTheNextAndOneOfAllStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := program.New(proc.Spec{Name: "sh", Path: "/bin/sh", Args: []string{"-c", `echo "$ALL$ONE."`}, Dir: dir, LogFile: filepath.Join(dir, "log")}, "", "")
	p.With("ALL=all")
	for _, own := range [][]string{{"ONE=one"}, nil} {
		process, err := p.Launch(own...)
		require.NoError(t, err)
		require.Equal(t, "exited with status 0", process.Ending())
	}
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.Equal(t, "allone.\nall.\n", string(text))
}

func TestWhatIsNotSetIsNotToldAndOwnVariablesWin(t *testing.T) {
	t.Parallel()
	env := program.Settings{
		Bin: "/bin", Dir: "/dir", Simulator: "127.0.0.1:1", LocalURL: "http://127.0.0.1:2", PostgresDSN: "postgres://shop",
	}.Spec("api", "", "PAYONCE_PROVIDER_URL=http://proxy").Env
	for _, one := range env {
		_, value, _ := strings.Cut(one, "=")
		require.NotEmpty(t, value, one)
	}
	require.Contains(t, env, "PAYONCE_SIMULATOR_WEBHOOK_URL=http://127.0.0.1:2/v1/webhooks/provider")
	require.Less(t, slices.Index(env, "PAYONCE_PROVIDER_URL=http://127.0.0.1:1"), slices.Index(env, "PAYONCE_PROVIDER_URL=http://proxy"))
}

func TestProgramsThatAreMadeAreTakenUnlessABugIsPlanted(t *testing.T) {
	t.Setenv(program.BinVariable, "/made")
	t.Setenv(program.OverlayVariable, "")
	require.Equal(t, "/made", program.Made())
	t.Setenv(program.OverlayVariable, "/overlay.json")
	require.Empty(t, program.Made())
}
