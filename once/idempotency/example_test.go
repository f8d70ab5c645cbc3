package idempotency_test

import (
	"fmt"

	"payonce/once/idempotency"
)

// A second request under a used key is told which field differs. What was
// stored is enough to say so and too little to reveal the value.
func ExampleRow_Match() {
	secret := []byte("from the configuration")
	first := idempotency.Request{Scope: "a tenant", Key: "K", Operation: "POST /v1/orders", Fields: []idempotency.Field{
		{Pointer: "/email", Value: "ada@example.org"}, {Pointer: "/items/0/quantity", Value: "2"},
	}}
	stored := rowOf(first, secret)

	second := first
	second.Fields = []idempotency.Field{{Pointer: "/email", Value: "ada@example.org"}, {Pointer: "/items/0/quantity", Value: "3"}}
	fmt.Println(stored.Match(second, second.Fingerprint(secret)))
	fmt.Println(stored.Match(first, first.Fingerprint(secret)))
	// Output:
	// this Idempotency-Key was used for a request with other values at /items/0/quantity
	// <nil>
}
