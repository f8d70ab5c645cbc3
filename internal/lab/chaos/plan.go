package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a sort of fault.
type Kind string

// The kinds of faults.
const (
	Kill   Kind = "kill"   // SIGKILL of one program
	Pause  Kind = "pause"  // SIGSTOP, and SIGCONT after For
	Arm    Kind = "arm"    // the program's next life carries an armed crash point
	Crash  Kind = "crash"  // SIGKILL of Postgres or RabbitMQ, which recovers
	Cut    Kind = "cut"    // a link's connections are closed, new ones refused
	Freeze Kind = "freeze" // a link's connections stay open and nothing passes
	Slow   Kind = "slow"   // every packet of a link comes late
	Mood   Kind = "mood"   // the provider or the mail server misbehaves
	Poison Kind = "poison" // a message that no consumer can ever apply
)

// Step is one planned fault.
type Step struct {
	At     time.Duration `json:"at"`
	Kind   Kind          `json:"kind"`
	Target string        `json:"target"`
	For    time.Duration `json:"for,omitempty"`
	// Point, Action and Nth say what an Arm arms; Detail says which Mood.
	Point  string `json:"point,omitempty"`
	Action string `json:"action,omitempty"`
	Nth    int    `json:"nth,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// String is the step as one line of the printed plan.
func (s Step) String() string {
	line := fmt.Sprintf("%6.1fs  %-6s %s", s.At.Seconds(), s.Kind, s.Target)
	if s.Point != "" {
		line += fmt.Sprintf(" %s:%s:%d", s.Point, s.Action, s.Nth)
	}
	if s.Detail != "" {
		line += " " + s.Detail
	}
	if s.For > 0 {
		line += fmt.Sprintf(" for %.1fs", s.For.Seconds())
	}
	return line
}

// The programs of the house, and the links that can fail: from, to.
var (
	apis    = []string{"api-1", "api-2"}
	relays  = []string{"relay-1", "relay-2"}
	workers = []string{"worker-1", "worker-2", "worker-3"}
	links   = []string{
		"api>postgres", "relay>postgres", "worker>postgres", "relay>rabbitmq", "worker>rabbitmq", "api>provider", "worker>provider",
	}
)

// everyProgram is who can be killed and paused. Without the simulator: its
// outages are moods, and its kills are planned by themselves.
func everyProgram() []string { return slices.Concat(apis, relays, workers) }

// At most this much of the campaign's length passes between two faults of a
// kind: what makes the ten-minute run meet its targets, and a short one small.
var rhythm = []struct {
	kind  Kind
	every time.Duration
	// least is how often it comes in the shortest campaign.
	least int
}{
	{Kill, 9 * time.Second, 4},
	{Pause, 20 * time.Second, 2},
	{Crash, 55 * time.Second, 2},
	{Cut, 18 * time.Second, 2},
	{Freeze, 22 * time.Second, 2},
	{Slow, 45 * time.Second, 1},
	{Mood, 20 * time.Second, 3},
	{Poison, 15 * time.Second, 3},
}

// Plan decides everything that will break, and what goes through the other doors.
// It is a pure function: the same arguments give the same plan. Every point is armed
// with every action.
func Plan(seed uint64, length time.Duration, points, actions []string) []Step {
	rng := chance(seed, 0x9e3779b97f4a7c15)
	points, actions = slices.Sorted(slices.Values(points)), slices.Sorted(slices.Values(actions))
	plan := arms(rng, length, points, actions)
	for _, r := range rhythm {
		n := max(r.least, int(length/r.every))
		if r.kind == Kill {
			n = max(n, int(length/deathEvery)-deaths(plan))
		}
		for i := range n {
			// One in each slot of its own: spread, and still at any moment.
			at := time.Duration((float64(i) + rng.Float64()) / float64(n) * float64(length))
			plan = append(plan, draw(rng, r.kind, at, i))
		}
	}
	plan = append(plan, doorSteps(seed, length)...)
	slices.SortStableFunc(plan, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return plan
}

func chance(seed, of uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, of)) //nolint:gosec // chance that can be repeated
}

// deathEvery is how often some process is killed in the mean. What arming kills
// counts, so that a house with few crash points meets as many deaths.
const deathEvery = 2600 * time.Millisecond

// deaths is how many kills the armed points make: one to arm each, and one more
// where the point itself kills.
func deaths(armed []Step) (n int) {
	for _, s := range armed {
		if n++; s.Action == "kill" {
			n++
		}
	}
	return n
}

// arms deals every pair of point and action to the programs that pass there.
func arms(rng *rand.Rand, length time.Duration, points, actions []string) []Step {
	var deck []Step
	for i, point := range points {
		for j, action := range actions {
			hosts := hostsOf(point)
			deck = append(deck, Step{
				Kind: Arm, Target: hosts[(i+j)%len(hosts)], Point: point, Action: action, Nth: 1 + rng.IntN(3),
			})
		}
	}
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	for i := range deck {
		// The last ones need some time to be reached.
		deck[i].At = time.Duration((float64(i) + rng.Float64()) / float64(len(deck)) * 0.9 * float64(length))
	}
	return deck
}

// hostsOf says which programs pass a point, by its first word.
func hostsOf(point string) []string {
	switch part, _, _ := strings.Cut(point, "."); part {
	case "capture", "webhook", "recovery":
		return apis // a buyer who asks again recovers far more often than a sweeper
	case "relay":
		return relays
	default: // consumers, mailer, retention, dead letters, saga
		return workers
	}
}

func draw(rng *rand.Rand, kind Kind, at time.Duration, i int) Step {
	s := Step{At: at, Kind: kind}
	programs := everyProgram()
	switch kind {
	case Kill:
		s.Target = programs[rng.IntN(len(programs))]
		if i%8 == 7 {
			s.Target = simulator
		}
	case Pause:
		s.Target, s.For = programs[rng.IntN(len(programs))], between(rng, 500*time.Millisecond, 4*time.Second)
		if i%6 == 5 {
			s.For = 15 * time.Second // longer than a lease
		}
	case Crash:
		s.Target = []string{"postgres", "rabbitmq"}[i%2]
	case Cut, Freeze:
		s.Target, s.For = links[rng.IntN(len(links)-2)], between(rng, 300*time.Millisecond, 3*time.Second)
	case Slow:
		s.Target, s.For = links[rng.IntN(len(links))], between(rng, 2*time.Second, 5*time.Second)
		s.Detail = fmt.Sprintf("%d ms", 20+rng.IntN(180))
	case Mood:
		s.Target, s.For = "provider", between(rng, time.Second, 4*time.Second)
		s.Detail = []string{"unavailable", "reset", "hang", "slow"}[rng.IntN(4)]
		if i%4 == 3 {
			s.Target, s.Detail = "mail", "unavailable"
		}
		if i%4 == 2 {
			s.Target, s.Detail = "webhooks", []string{"lost", "storm"}[rng.IntN(2)]
		}
		if i%4 == 1 {
			s.Target, s.Kind, s.Detail = links[len(links)-1-rng.IntN(2)], Cut, "" // the way to the provider
		}
	case Poison:
		s.Target = "rabbitmq"
	default: // an Arm is dealt by arms
		panic("chaos: there is no fault " + string(kind))
	}
	return s
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(rng.Int64N(int64(most-least)))).Round(time.Millisecond)
}

// Interrupts says whether the step takes the database or the broker away from
// somebody.
func (s Step) Interrupts() bool {
	service := strings.HasSuffix(s.Target, "postgres") || strings.HasSuffix(s.Target, "rabbitmq") || s.inCluster()
	return service && (s.Kind == Crash || s.Kind == Cut || s.Kind == Freeze || s.Kind == Hang || s.Kind == Part)
}
