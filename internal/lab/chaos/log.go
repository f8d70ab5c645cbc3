package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Entry is one attempt of a client and the answer that it got.
type Entry struct {
	Buyer     int    `json:"buyer"`
	Operation string `json:"operation"` // order, capture, refund, check-in
	Payment   string `json:"payment,omitempty"`
	Order     string `json:"order,omitempty"`
	Merchant  string `json:"merchant"`
	Key       string `json:"key"`
	// Wire is the key as it was sent, where the log calls it otherwise: the shop has
	// forgotten what it once answered under that key.
	Wire string `json:"wire,omitempty"`
	// Request is what was asked for, the key aside: two entries with one key and
	// two requests are a reused key.
	Request string `json:"request"`
	Why     string `json:"why"` // first, retry, twin, fresh, replay, other-body, hang-up
	API     string `json:"api"`

	// Start and End are measured from the campaign's start, by one clock.
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`

	// Status is 0 when no answer came.
	Status   int    `json:"status"`
	Problem  string `json:"problem,omitempty"` // its slug
	Replayed bool   `json:"replayed,omitempty"`
	Matched  bool   `json:"matched,omitempty"`
	Charge   string `json:"charge,omitempty"`
	// Refund and Amount are what a refund's 202 says, Asked is what it asked for;
	// 0 is what is left.
	Refund string `json:"refund,omitempty"`
	Amount int64  `json:"amount,omitempty"`
	Asked  int64  `json:"asked,omitempty"`
	Body   string `json:"body,omitempty"`
	Ticket string `json:"ticket,omitempty"` // of a check-in
}

func (e Entry) sent() string {
	if e.Wire != "" {
		return e.Wire
	}
	return e.Key
}

// Stored says whether an answer is one that the shop keeps under its key: from
// then on the key has no other.
func (e Entry) Stored() bool {
	if e.Operation == "refund" {
		return e.Status == 202 || e.Problem == "refund-exceeds-captured"
	}
	switch e.Status {
	case 200, 201, 402:
		return true
	case 422:
		return e.Problem == "amount-mismatch"
	}
	return false
}

// Unknown says whether the attempt may or may not have had its effect.
func (e Entry) Unknown() bool { return !e.Stored() && e.Problem != "idempotency-key-reused" }

// clientLog is what the clients wrote down, in memory and in a file.
type clientLog struct {
	mu      sync.Mutex
	entries []Entry
	file    *os.File
	out     *bufio.Writer
}

func newClientLog(dir string) (*clientLog, error) {
	file, err := os.Create(filepath.Join(dir, "attempts.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("the clients' log: %w", err)
	}
	return &clientLog{file: file, out: bufio.NewWriter(file)}, nil
}

func (l *clientLog) add(e Entry) {
	line, err := json.Marshal(e)
	if err != nil {
		panic("chaos: an entry that is no JSON: " + err.Error()) // strings and numbers only
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	_, _ = l.out.Write(append(line, '\n')) // Flush tells
}

func (l *clientLog) close() ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.Flush(); err != nil {
		return l.entries, fmt.Errorf("the clients' log: %w", err)
	}
	return l.entries, l.file.Close()
}

func (l *clientLog) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}
