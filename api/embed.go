// Package api holds the contracts of the shop's interfaces as bytes: HTTP and
// events.
//
// The contract comes first: the server's code and the web client's types are
// generated from it, every request is checked against it, and every response of
// a test run as well. So the three cannot drift apart unnoticed.
package api

import _ "embed" // for the go:embed lines below

// OpenAPI is the description of every route of the default build.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Lab describes the routes that only lab builds have.
//
//go:embed lab.yaml
var Lab []byte

// AsyncAPI describes every event and queue. The tests compare it with the
// topology that is declared and with messages that were really published.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte
