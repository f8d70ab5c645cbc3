package lesson

// Box is something beside a lesson's text to compute or to compare.
type Box struct {
	Kind  string // retries or windows
	Title string
	Text  string // Markdown
	// Layers are of retries: the number of attempts is their product.
	Layers []Layer
	// Windows are of windows: how long systems remember, and how long their
	// callers come back.
	Windows []Window
}

// Layer is one of the parties that retry.
type Layer struct {
	Name     string `json:"name"`
	Attempts int    `json:"attempts"`
	Min      int    `json:"min"`
	Max      int    `json:"max"`
}

// Window is a time on the common scale.
type Window struct {
	System string `json:"system"`
	What   string `json:"what"`
	// Kind is remembers, for a dedupe window, or retries, for a horizon.
	Kind string `json:"kind"`
	// Seconds is nil for ever.
	Seconds *int64 `json:"seconds"`
	Forever bool   `json:"forever"`
	Note    string `json:"note"`
}

type boxView struct {
	Kind    string   `json:"kind"`
	Title   string   `json:"title"`
	Text    string   `json:"text_html"`
	Layers  []Layer  `json:"layers,omitempty"`
	Windows []Window `json:"windows,omitempty"`
}

func (b *Box) view(t *Text) (*boxView, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // most lessons have no box
	}
	html, err := t.render(b.Text)
	return &boxView{b.Kind, b.Title, html, b.Layers, b.Windows}, err
}

const (
	minute = int64(60)
	hour   = 60 * minute
	day    = 24 * hour

	remembers = "remembers"
	retries   = "retries"

	documented = "documented default"
)

func window(kind, system, what string, seconds int64, note string) Window {
	return Window{System: system, What: what, Kind: kind, Seconds: &seconds, Note: note}
}

// boxes by lesson.
var boxes = map[string]*Box{
	"lost-answer": {
		Kind: "retries", Title: "How retries multiply",
		Text: `Each layer tries a few times because the one below it did not answer. None knows of the others, so the numbers **multiply**: three layers with three attempts each make 3 × 3 × 3 = 27 attempts of one click at the innermost service. A slow provider gets 27 times its load at the moment when it is slow.

Retry in **one** layer, the one that knows the intent and keeps the key. Let the others fail at once. Give retries a budget, say one retry for ten first attempts, so that an outage cannot become a storm.`,
		Layers: []Layer{
			{Name: "Browser or app", Attempts: 3, Min: 1, Max: 6},
			{Name: "API gateway or proxy", Attempts: 3, Min: 1, Max: 6},
			{Name: "HTTP client library in the shop", Attempts: 3, Min: 1, Max: 6},
		},
	},
	"retention": {
		Kind: "windows", Title: "How long systems remember, and how long callers come back",
		Text: `A dedupe window protects from a duplicate only while it is **longer than the longest way back**. Put the two kinds side by side: each *retries* that reaches further right than the *remembers* it meets is an effect that can come twice.`,
		Windows: []Window{
			window(remembers, "A map in the process", "keys seen lately", minute, "what is often written first; a restart forgets all of it"),
			window(remembers, "NATS JetStream", "message ids (duplicate window)", 2*minute, documented),
			window(remembers, "Amazon SQS FIFO", "deduplication ids", 5*minute, "documented; cannot be changed"),
			window(remembers, "Azure Service Bus", "message ids (duplicate detection)", 10*minute, documented+"; up to 7 days"),
			window(remembers, "Stripe API v1", "idempotency keys", day, "documented: may be removed after at least 24 hours"),
			window(remembers, "payonce", "idempotency keys", 72*hour, "PAYONCE_KEY_TTL"),
			window(remembers, "NServiceBus outbox", "message ids", 7*day, documented),
			window(remembers, "payonce", "inbox rows, webhook receipts", 30*day, "PAYONCE_RETAIN_INBOX, PAYONCE_RETAIN_RECEIPTS"),
			{System: "payonce", What: "business keys: one payment per order, one booking per payment", Kind: remembers, Forever: true, Note: "unique constraints on rows that are never deleted"},
			window(retries, "Amazon EventBridge", "a failed delivery", day, documented),
			window(retries, "payonce's clients", "a capture, as promised to them", day, "the published horizon"),
			window(retries, "Stripe", "a webhook in live mode", 3*day, "documented: up to three days"),
			window(retries, "Standard Webhooks", "the recommended schedule", 75*hour+35*minute, "the specification's example"),
			window(retries, "Amazon SQS", "a message nobody could handle", 4*day, documented+" of its retention; up to 14 days"),
			window(retries, "SMTP", "a mail that was not accepted", 5*day, "RFC 5321: give up after at least 4–5 days"),
			window(retries, "Google Cloud Pub/Sub", "a message that was not acknowledged", 7*day, documented+" of its retention"),
			window(retries, "payonce", "a dead letter, replayed by a person", 14*day, "PAYONCE_REPLAY_LIMIT"),
			window(retries, "Amazon SNS", "a notification to SQS or Lambda", 23*day, "documented delivery policy"),
		},
	},
}
