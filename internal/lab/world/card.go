package world

import (
	"context"
	"net/http"
	"time"
)

// trouble is what a test card does to the first try of a charge.
type trouble int

const (
	smooth trouble = iota
	// holdBefore charges nothing and holds the connection until the caller
	// gives up.
	holdBefore
	// loseAnswer charges, and then holds the connection: the caller cannot
	// know which of the two it was.
	loseAnswer
	fail500
	fail429
)

// telling is when and how often the provider tells about a card's charge.
type telling int

const (
	_ telling = iota // at once, and once
	// first: the message arrives before the answer to the charge leaves.
	first
	// late: the message comes after some seconds.
	late
	// storm: the message comes five times, at moments of their own.
	storm
)

// card is a test card: what the bank says, and how the provider misbehaves on
// the way there.
type card struct {
	Token string
	// Says is the sentence shown to people.
	Says    string
	decline string // the bank's refusal; empty means the charge succeeds
	slow    bool
	trouble trouble
	tells   telling
	// always keeps the trouble for every try, not only a key's first.
	always bool
	// refundDecline is the bank's refusal of every refund, refundTrouble what
	// happens to the first try of one.
	refundDecline string
	refundTrouble trouble
}

// plain cards do what they do at once and every time, so that a charge is a
// single statement.
func (c card) plain() bool { return c.trouble == smooth && !c.slow && c.tells != first }

// Cards lists every card the world knows, in the order in which a person
// would try them. Any other token is refused with 402 invalid_token.
var Cards = []card{
	{Token: "tok_ok", Says: "is charged at once"},
	{Token: "tok_declined", Says: "is declined: insufficient funds", decline: "insufficient_funds"},
	{Token: "tok_slow", Says: "is charged after two seconds", slow: true},
	{Token: "tok_timeout_before", Says: "first try: nothing is charged and no answer comes", trouble: holdBefore},
	{Token: "tok_timeout_after", Says: "first try: it is charged and the answer is lost", trouble: loseAnswer},
	{Token: "tok_500_then_ok", Says: "first try: 500, nothing is charged", trouble: fail500},
	{Token: "tok_500_always", Says: "500 for ever, nothing is charged", trouble: fail500, always: true},
	{Token: "tok_429_then_ok", Says: "first try: 429, nothing is charged", trouble: fail429},
	{Token: "tok_refund_declined", Says: "is charged at once, and a refund is refused", refundDecline: "refund_not_possible"},
	{Token: "tok_refund_timeout_after", Says: "is charged at once; first try of a refund: the money goes back and the answer is lost", refundTrouble: loseAnswer},
	{Token: "tok_webhook_first", Says: "is charged, and the webhook overtakes the answer", tells: first},
	{Token: "tok_webhook_late", Says: "first try: it is charged, the answer is lost, and the webhook comes after five seconds", trouble: loseAnswer, tells: late},
	{Token: "tok_webhook_storm", Says: "is charged, and each webhook comes five times, out of order", tells: storm},
}

var cardByToken = func() map[string]card {
	byToken := make(map[string]card, len(Cards))
	for _, c := range Cards {
		byToken[c.Token] = c
	}
	return byToken
}()

// hold keeps a connection open without an answer and then cuts it. It ends
// early when the caller hangs up or the world closes, so that an abandoned
// connection costs nothing.
func (w *World) hold(r *http.Request) {
	w.wait(r.Context(), w.options.Hold)
	panic(http.ErrAbortHandler) // net/http's way to close without a word
}

// wait returns after d, or when ctx ends, or when the world closes.
func (w *World) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-w.closing:
	}
}
