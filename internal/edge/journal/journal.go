package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
)

// Options is what a [Journal] needs; zero values get the defaults.
type Options struct {
	DB  *postgres.DB
	Log *slog.Logger
	// Level is what is written down; "" means [All].
	Level Level
	// Capacity bounds the records that wait for a flush, of each kind; 16,384.
	Capacity int
	// Every is the pause between flushes; 50 ms.
	Every time.Duration
	// KeepFor and KeepRows bound the activity table; 1 h and 200,000.
	KeepFor  time.Duration
	KeepRows int
}

// Attempt is one HTTP delivery of an intent and what became of it.
type Attempt struct {
	Merchant uuid.UUID
	// Payment is what the attempt was about; the zero id when it is unknown or
	// not this merchant's.
	Payment   uuid.UUID
	Operation string
	Key       string
	Fate      string
	Status    int
	Latency   time.Duration
	TraceID   string
	At        time.Time

	id uuid.UUID
}

// Journal collects records and writes them in batches.
type Journal struct {
	opts Options

	// flushing makes flushes take turns: only its holder takes from the front.
	flushing sync.Mutex

	mu       sync.Mutex
	attempts []Attempt
	unsure   bool // whether the front of attempts was written: a commit was lost; only flushes look
	activity []entry
	picture  picture
	dropped  int64
}

// entry is one row of activity before it has an id.
type entry struct {
	event   observe.Event
	traceID string
}

// New makes a Journal; [Journal.Run] writes what it collects.
func New(o Options) *Journal {
	if o.Capacity == 0 {
		o.Capacity = 1 << 14
	}
	if o.Every == 0 {
		o.Every = 50 * time.Millisecond
	}
	if o.KeepFor == 0 {
		o.KeepFor = time.Hour
	}
	if o.KeepRows == 0 {
		o.KeepRows = 200_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Level == "" {
		o.Level = All
	}
	return &Journal{opts: o, picture: newPicture()}
}

var _ observe.Observer = (*Journal)(nil)

// Observe implements [observe.Observer].
func (j *Journal) Observe(ctx context.Context, e observe.Event) {
	if j.opts.Level != All {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now() //nolint:forbidigo // a picture for people; nothing is decided by it
	}
	traceID := telemetry.TraceID(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.picture.draws(e.Correlation, e.At) || len(j.activity) >= j.opts.Capacity {
		j.dropped++
		return
	}
	j.activity = append(j.activity, entry{event: e, traceID: traceID})
}

// Attempt notes one HTTP attempt. Call it after the answer.
func (j *Journal) Attempt(a Attempt) {
	if j.opts.Level == Off {
		return
	}
	a.id = uuid.Must(uuid.NewV7())
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.attempts) >= j.opts.Capacity {
		j.dropped++
		return
	}
	j.attempts = append(j.attempts, a)
}

// Dropped counts the records that are missing since this process began: lost ones, and
// those of stories that were not drawn. While it is not
// zero, counts made from the journal mean "at least".
func (j *Journal) Dropped() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped
}

// Run writes and prunes until ctx ends, then writes what is left, for at most
// two seconds.
func (j *Journal) Run(ctx context.Context) error {
	flush := time.NewTicker(j.opts.Every)
	defer flush.Stop()
	prune := time.NewTicker(30 * time.Second)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			j.note("last flush", j.Flush(last))
			return nil
		case <-flush.C:
			j.note("flush", j.Flush(ctx))
		case <-prune.C:
			_, err := j.Prune(ctx)
			j.note("prune", err)
		}
	}
}

func (j *Journal) note(what string, err error) {
	if err != nil {
		j.opts.Log.Debug("journal: "+what+" failed", "error", err, "dropped", j.Dropped())
	}
}
