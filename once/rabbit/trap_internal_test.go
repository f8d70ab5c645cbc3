package rabbit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"payonce/once/message"
)

// nack(requeue=true) spins at more than a thousand deliveries a second, and
// nack(requeue=false) gives a message to nobody whom we told why. The one package
// that could say either never does.
func TestNackAndRejectAreNeverUsed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		looked++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Nack" || s.Sel.Name == "Reject") {
				t.Errorf("%s: %s", set.Position(s.Pos()), s.Sel.Name)
			}
			return true
		})
	}
	if looked < 5 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// TTLs of messages in one queue wait behind its head: a message carries none,
// and each delay is a queue of its own with one TTL for all it holds.
func TestNoMessageCarriesATTLAndADelayIsAQueueOfItsOwn(t *testing.T) {
	t.Parallel()
	if ttl := publishing(message.Message{Headers: map[string]any{"any": 1}, Time: time.Now()}).Expiration; ttl != "" {
		t.Errorf("a message expires after %q", ttl)
	}
	for _, q := range []Queue{DelayQueue("d", 1500), WorkQueue("w", "dead"), DeadLetterQueue("l")} {
		ttl, has := q.Args["x-message-ttl"]
		if has != (q.Name == "d") || (has && ttl != int64(1500)) {
			t.Errorf("queue %s has TTL %v", q.Name, ttl)
		}
		if q.Args["x-overflow"] != "reject-publish" {
			t.Errorf("queue %s drops what it has confirmed", q.Name)
		}
		if strategy := q.Args["x-dead-letter-strategy"]; q.Name != "l" && strategy != "at-least-once" {
			t.Errorf("queue %s dead-letters %v", q.Name, strategy)
		}
		if _, gives := q.Args["x-dead-letter-exchange"]; gives == (q.Name == "l") {
			t.Errorf("queue %s: without a dead-letter exchange the delivery limit drops", q.Name)
		}
	}
}
