//go:build !profile

package telemetry

import "net/http"

// profiler adds nothing: only `make profile` builds programs that can be profiled.
func profiler(*http.ServeMux) {}
