// Package gen is what oapi-codegen makes of api/openapi.yaml: the routes as an
// interface, and for each operation a request type and a response type. Nothing
// here is written by hand except these lines.
package gen

//go:generate go tool -modfile=../../../../tools/go.mod oapi-codegen -config server.config.yaml ../../../../api/openapi.yaml
