// Package wire turns what the shop knows into the bytes that a client gets.
//
// The shapes are generated from api/openapi.yaml; here are the few conversions
// into them, the prefixed ids, and the problem documents. There is no web
// framework in this package and no request, on purpose: an outcome that the
// worker's recovery stores must be the very bytes that the handler would have
// sent, so both render with this code and nothing in it may depend on who asks
// or when.
//
// Not promised: that a document of another version of the program has the same
// bytes. A stored answer is kept as bytes for that reason; it is never rendered
// again.
package wire

//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -config models.config.yaml ../../../api/openapi.yaml
