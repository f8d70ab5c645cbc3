package httpapi

import (
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"payonce/api"
)

// operation is one route of the contract, looked up once per request.
type operation struct {
	id    string
	route *routers.Route
	// body is the schema of a JSON body; nil when the operation takes none.
	body *openapi3.Schema
	// open operations need no caller; keyed ones an Idempotency-Key.
	open, keyed bool
	// signed ones are opened by a signature over the raw body, which nobody else
	// looks at before.
	signed bool
}

// contract is api/openapi.yaml, ready to judge requests and responses.
type contract struct {
	doc *openapi3.T
	// operations are found by method and gin's form of the path.
	operations map[string]*operation
}

func mustContract() *contract {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		panic("httpapi: the embedded contract cannot be read: " + err.Error())
	}
	c := &contract{doc: doc, operations: map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		for method, described := range item.Operations() {
			c.operations[method+" "+ginPath(path)] = newOperation(doc, path, item, method, described)
		}
	}
	return c
}

func newOperation(doc *openapi3.T, path string, item *openapi3.PathItem, method string, described *openapi3.Operation) *operation {
	op := &operation{
		id:    described.OperationID,
		route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: described},
		open:  described.Security != nil && len(*described.Security) == 0,
		keyed: described.Parameters.GetByInAndName("header", "Idempotency-Key") != nil,
	}
	op.signed, _ = described.Extensions["x-payonce-signed"].(bool)
	if described.RequestBody != nil && !op.signed {
		op.body = described.RequestBody.Value.Content.Get("application/json").Schema.Value
	}
	return op
}

func (c *contract) operation(method, ginPath string) *operation {
	return c.operations[method+" "+ginPath]
}

// ginPath writes /v1/orders/{order_id} as /v1/orders/:order_id.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// input is what the validators of the contract want to know of a request. The
// body is judged by strictjson, which reads more strictly than they do.
func (op *operation) input(r *http.Request, params map[string]string) *openapi3filter.RequestValidationInput {
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: op.route,
		Options: &openapi3filter.Options{
			ExcludeRequestBody: true, MultiError: true, SkipSettingDefaults: true, IncludeResponseStatus: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
}
