package lesson

import (
	"context"
	"slices"
)

// A Play is what a scenario does. It returns the id of the option that came
// true in the lesson's prediction, or an error when it could not be played to
// its end. A check that does not hold is no error.
type Play func(ctx context.Context, s *Scene) (truth string, err error)

// Lesson is a scenario with its text.
type Lesson struct {
	Slug string
	Play Play
	// Naive plays the same against the shop without protections; nil means that
	// this lesson has no such twin.
	Naive Play
	// Disturbs says that a process of everybody is ended or stopped: such a run
	// waits until it is alone.
	Disturbs bool

	// Number counts from 1; Text is the lesson's words. Both are filled in by All.
	Number int
	Text   *Text
}

// lessons are in the order in which they build on each other.
var lessons = []Lesson{
	{Slug: "double-click", Play: doubleClick, Naive: naiveClicks("same", "two", "same")},
	{Slug: "two-tabs", Play: twoTabs, Naive: naiveClicks("fresh", "two", "matched")},
	{Slug: "other-amount", Play: otherAmount, Naive: tried("request-hash", "replayed", "refused")},
	{Slug: "lost-answer", Play: lostAnswer, Naive: naiveAgain("tok_ok", "again", "replayed")},
	{Slug: "timeout-after-charge", Play: timeoutAfterCharge, Naive: naiveAgain("tok_timeout_after", "again", "failed")},
	{Slug: "killed-after-charge", Play: killedAfterCharge, Disturbs: true, Naive: compared("kill-after-charge", more(chargesOf, "again", "asked"))},
	{Slug: "dual-write", Play: dualWrite, Disturbs: true, Naive: compared("broker-away", none(ledgerOf, "missing", "waited"))},
	{Slug: "relay-killed", Play: relayKilled, Disturbs: true, Naive: tried("inbox", "doubled", "absorbed")},
	{Slug: "worker-killed", Play: workerKilled, Disturbs: true, Naive: compared("redeliver", more(ledgerOf, "doubled", "absorbed"))},
	{Slug: "email", Play: mailTwice, Disturbs: true, Naive: compared("redeliver", more(mailsOf, "two", "same"))},
	{Slug: "webhooks", Play: webhooks, Naive: naiveWebhooks},
	{Slug: "poison", Play: poison},
	{Slug: "refund-refused", Play: refundRefused},
	{Slug: "refund-forward", Play: refundForward, Disturbs: true},
	{Slug: "ordering", Play: ordering},
	{Slug: "retention", Play: retention},
}

// All lists the lessons with their texts.
func All() ([]Lesson, error) {
	list := slices.Clone(lessons)
	for i := range list {
		text, err := readText(list[i].Slug)
		if err != nil {
			return nil, err
		}
		list[i].Number, list[i].Text = i+1, text
	}
	return list, nil
}
