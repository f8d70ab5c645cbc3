package caller_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
)

func TestAKeyIsTheSameEachTimeAndOpensOneSandbox(t *testing.T) {
	t.Parallel()
	tokens, merchant := caller.NewTokens([]byte("secret"), "operator-token"), uuid.New()
	key := tokens.APIKey(merchant)
	if key != tokens.APIKey(merchant) || !strings.HasPrefix(key, "sk_test_") {
		t.Fatal(key)
	}
	if got, ok := tokens.ParseAPIKey(key); !ok || got != merchant {
		t.Fatalf("got %v %v", got, ok)
	}
	session := tokens.Session(merchant)
	forged := []string{
		"", "sk_test_", key + "0", key[:len(key)-1], strings.ToUpper(key), session, key[:len(key)-1] + flip(key[len(key)-1]),
		"sk_test_" + strings.ReplaceAll(uuid.NewString(), "-", "") + key[40:], "sk_live_" + key[8:],
		caller.NewTokens([]byte("another secret"), "").APIKey(merchant), strings.Repeat("z", len(key)),
	}
	for _, token := range forged {
		if _, ok := tokens.ParseAPIKey(token); ok {
			t.Errorf("%q opened a sandbox", token)
		}
	}
	if _, ok := tokens.ParseSession(key); ok {
		t.Error("an API key passed for a cookie")
	}
	if string(caller.Hash(key)) == key || len(caller.Hash(key)) != 32 {
		t.Error("the hash is no hash")
	}
}

func flip(b byte) string {
	if b == '0' {
		return "1"
	}
	return "0"
}

func TestWithoutATokenThereIsNoOperator(t *testing.T) {
	t.Parallel()
	with, without := caller.NewTokens([]byte("s"), "operator-token"), caller.NewTokens([]byte("s"), "")
	if !with.IsOperator("operator-token") || with.IsOperator("operator-tokeN") || with.IsOperator("") || without.IsOperator("") {
		t.Error("the operator is known by the exact token only")
	}
}
