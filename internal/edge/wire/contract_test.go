package wire_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"payonce/api"
)

func TestBothContractsAreValidOpenAPI(t *testing.T) {
	t.Parallel()
	for name, contract := range map[string][]byte{"openapi.yaml": api.OpenAPI, "lab.yaml": api.Lab} {
		doc, err := openapi3.NewLoader().LoadFromData(contract)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := doc.Validate(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
