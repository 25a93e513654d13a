package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Settings of one run of clients.
type Settings struct {
	Address string   `json:"address"` // host:port
	Path    string   `json:"path"`    // of the URL; for gRPC the full method
	Bodies  string   `json:"bodies"`  // file with one Asked per line
	Headers []string `json:"headers"` // further header lines of every request, without line ends

	Connections int     `json:"connections"`
	InFlight    int     `json:"in_flight"` // gRPC only: calls at once over all connections
	Rate        float64 `json:"rate"`      // requests per second, evenly spaced; 0: closed loop
	Warmup      float64 `json:"warmup"`    // seconds that are not counted
	Seconds     float64 `json:"seconds"`
	Timeout     float64 `json:"timeout"` // seconds until a request counts as failed

	Output string `json:"output"` // the tensor whose numbers are compared; empty: only the status is looked at
	Form   string `json:"form"`   // json, binary or grpc: where its numbers are
	Log    string `json:"log"`    // file for one Record per request; empty: none
}

// Asked is one distinct request and what must be answered to it.
type Asked struct {
	Body    []byte               `json:"body"`
	Headers []string             `json:"headers"`
	Expect  map[string][]float64 `json:"expect"` // by the version that answered; "" is whatever has no entry of its own
}

func readSettings(decoder *json.Decoder) (Settings, []Asked, error) {
	settings := Settings{Connections: 1, Seconds: 1, Timeout: 10}
	if err := decoder.Decode(&settings); err != nil {
		return settings, nil, fmt.Errorf("the settings are not as they should be: %w", err)
	}
	asked, err := readAsked(settings.Bodies)
	if err == nil && len(asked) == 0 {
		err = fmt.Errorf("%s holds no request", settings.Bodies)
	}
	return settings, asked, err
}

func readAsked(path string) ([]Asked, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []Asked
	decoder := json.NewDecoder(bufio.NewReaderSize(file, 1<<20))
	for decoder.More() {
		var one Asked
		if err := decoder.Decode(&one); err != nil {
			return nil, fmt.Errorf("%s, request %d: %w", path, len(all)+1, err)
		}
		all = append(all, one)
	}
	return all, nil
}
