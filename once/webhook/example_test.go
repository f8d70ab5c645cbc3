package webhook_test

import (
	"errors"
	"fmt"
	"time"

	"payonce/once/webhook"
)

// A sender signs the bytes that it sends; a receiver verifies the bytes that
// arrived, before it parses them.
func ExampleVerifier_Verify() {
	const secret = "whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxlIQ=="
	now := time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)
	verifier, err := webhook.NewVerifier([]string{secret}, func() time.Time { return now })
	if err != nil {
		panic(err)
	}
	shared, err := webhook.DecodeSecret(secret)
	if err != nil {
		panic(err)
	}
	body := []byte(`{"type":"thing.happened"}`)
	headers := webhook.Sign([][]byte{shared}, "msg_1", now, body)

	m, err := verifier.Verify(headers, body)
	fmt.Println(m.ID, err)
	_, err = verifier.Verify(headers, []byte(`{"type": "thing.happened"}`))
	fmt.Println(errors.Is(err, webhook.ErrSignature))
	// Output:
	// msg_1 <nil>
	// true
}
