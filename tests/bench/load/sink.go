package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// serveSink is a collector that takes every batch of captured events and counts them when it is asked: unpacking at once
// would take the clients' core from them.
//
//	POST anything       200, as soon as the batch is here
//	GET  /count         {"batches": n, "events": n} since the start
func serveSink(decoder *json.Decoder) error {
	var settings struct {
		Listen string `json:"listen"`
	}
	if err := decoder.Decode(&settings); err != nil {
		return err
	}
	var lock sync.Mutex
	var waiting [][]byte
	batches, events := 0, 0
	routes := http.NewServeMux() // the default one holds what gRPC registers
	routes.HandleFunc("POST /", func(response http.ResponseWriter, request *http.Request) {
		batch, err := io.ReadAll(request.Body)
		if err != nil {
			return // the sender went away and sends it again
		}
		lock.Lock()
		defer lock.Unlock()
		waiting = append(waiting, batch)
	})
	routes.HandleFunc("GET /count", func(response http.ResponseWriter, request *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		for _, batch := range waiting {
			count, err := eventsOf(batch)
			if err != nil {
				http.Error(response, err.Error(), http.StatusInternalServerError)
				return
			}
			batches++
			events += count
		}
		waiting = nil
		fmt.Fprintf(response, `{"batches": %d, "events": %d}`, batches, events)
	})
	return http.ListenAndServe(settings.Listen, routes)
}

func eventsOf(batch []byte) (int, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(batch))
	if err != nil {
		return 0, err
	}
	content, err := io.ReadAll(unpacked)
	return bytes.Count(content, []byte(`"specversion"`)), err
}
