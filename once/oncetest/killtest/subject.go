package killtest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// Services are where Postgres and RabbitMQ are: URLs. AMQP is "" for a [Subject] without
// a broker.
type Services struct{ Postgres, AMQP string }

// Life is one life of the subject.
type Life struct {
	Address string // host:port, where it listens; "" if it does not
	// Kill ends it at once, as SIGKILL does, and returns when it is gone.
	Kill func()
	// Ended is closed when it has ended, by whomever.
	Ended <-chan struct{}
}

// Subject is the program that is judged.
type Subject struct {
	// Broker says that it needs RabbitMQ beside Postgres.
	Broker bool
	// Prepare makes what it needs of empty services; nil for nothing.
	Prepare func(t testing.TB, at Services)
	// Start begins a life that reaches the services at these addresses and no others, and
	// returns when it can be used.
	Start func(t testing.TB, at Services) (Life, error)
	// Act asks once for what is called id: a request to the subject under that key, or an
	// event of that id for it to consume. After an error it is asked again.
	Act func(ctx context.Context, life Life, at Services, id string) error
	// Effects counts what the world has of id, by name. Each must come to one.
	Effects func(ctx context.Context, at Services, id string) (map[string]int, error)

	// Within is how long an effect may take after its process was killed; a minute. It must
	// be longer than the subject's longest lease, the pause until something looks after
	// what is over, and the first wait of a doubt: 18 s for the defaults of package call, on
	// a machine that is not busy. What is right does not wait for it.
	Within time.Duration
	// Quiet is how long nothing must happen for an activity to be over; 300 ms. It must
	// be longer than the pauses that the subject makes.
	Quiet time.Duration
	// Late is how late an answer comes; 500 ms.
	Late time.Duration
	// Most is how many moments are met at most, of those that there are; 40.
	Most int
	// Crowd is how many activities are begun at once, each twice; 20. Below zero none.
	Crowd int
}

func (s Subject) withDefaults() Subject {
	set := func(d *time.Duration, byDefault time.Duration) {
		if *d == 0 {
			*d = byDefault
		}
	}
	set(&s.Within, time.Minute)
	set(&s.Quiet, 300*time.Millisecond)
	set(&s.Late, 500*time.Millisecond)
	if s.Most == 0 {
		s.Most = 40
	}
	if s.Crowd == 0 {
		s.Crowd = 20
	}
	return s
}

// Listen stands in the arguments of [Command] for the address at which the program is to
// listen. Its environment has it too.
const Listen = "{listen}"

// Environment of a program that [Command] starts.
const (
	EnvPostgres = "SUBJECT_POSTGRES"
	EnvAMQP     = "SUBJECT_AMQP"
	EnvListen   = "SUBJECT_LISTEN"
)

// Command starts lives of a program, with the environment of this one and the three
// variables above; env is added, each as NAME=value. A life can be used when it lets
// connections in. A test whose TestMain runs the program when a variable of its own is set
// needs no build: it gives os.Args[0] as path and that variable as env.
func Command(path string, args []string, env ...string) func(t testing.TB, at Services) (Life, error) {
	return func(t testing.TB, at Services) (Life, error) {
		address, err := free()
		if err != nil {
			return Life{}, err
		}
		own := slices.Clone(args)
		for i, arg := range own {
			if arg == Listen {
				own[i] = address
			}
		}
		cmd := exec.Command(path, own...) //nolint:gosec // the program that the caller wants judged, which ends by Kill
		cmd.Env = append(append(os.Environ(), EnvPostgres+"="+at.Postgres, EnvAMQP+"="+at.AMQP, EnvListen+"="+address), env...)
		cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
		withParent(cmd)
		if err := cmd.Start(); err != nil {
			return Life{}, err
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		var once sync.Once
		life := Life{Address: address, Ended: ended, Kill: func() {
			once.Do(func() { _ = cmd.Process.Kill() })
			<-ended
		}}
		if err := life.listens(); err != nil {
			life.Kill()
			return Life{}, err
		}
		return life, nil
	}
}

var errEndedAtOnce = errors.New("killtest: the subject ended before it could be used")

// listens waits until the life lets connections in.
func (l Life) listens() error {
	for limit := time.Now().Add(30 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", l.Address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-l.Ended:
			return errEndedAtOnce
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return err
		}
	}
}

func free() (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
