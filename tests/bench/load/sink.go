package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// serveSink is a collector that takes every batch of captured rows and counts the batches: reading them would take the
// clients' core from them.
//
//	POST anything       200, as soon as the batch is here
//	GET  /count         {"batches": n, "bytes": n} since the start
func serveSink(decoder *json.Decoder) error {
	var settings struct {
		Listen string `json:"listen"`
	}
	if err := decoder.Decode(&settings); err != nil {
		return err
	}
	var batches, size atomic.Int64
	routes := http.NewServeMux() // the default one holds what gRPC registers
	routes.HandleFunc("POST /", func(response http.ResponseWriter, request *http.Request) {
		read, err := io.Copy(io.Discard, request.Body)
		if err != nil {
			return // the sender went away and sends it again
		}
		batches.Add(1)
		size.Add(read)
	})
	routes.HandleFunc("GET /count", func(response http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(response, `{"batches": %d, "bytes": %d}`, batches.Load(), size.Load())
	})
	return http.ListenAndServe(settings.Listen, routes)
}
