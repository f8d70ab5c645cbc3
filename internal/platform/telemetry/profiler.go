//go:build profile

package telemetry

import (
	"bytes"
	"net/http"
	"runtime/pprof"
)

// profiler adds what `make profile` asks for: a POST begins a profile of the processor,
// another one ends it and answers with it; a GET is what was allocated so far.
func profiler(mux *http.ServeMux) {
	var cpu bytes.Buffer
	mux.HandleFunc("POST /profile/cpu/begin", func(w http.ResponseWriter, _ *http.Request) {
		cpu.Reset()
		if err := pprof.StartCPUProfile(&cpu); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("POST /profile/cpu/end", func(w http.ResponseWriter, _ *http.Request) {
		pprof.StopCPUProfile()
		_, _ = w.Write(cpu.Bytes())
	})
	mux.HandleFunc("GET /profile/allocs", func(w http.ResponseWriter, _ *http.Request) {
		_ = pprof.Lookup("allocs").WriteTo(w, 0)
	})
}
