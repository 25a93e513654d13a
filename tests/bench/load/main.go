// Command load is the other side of Podium's serving benchmark: the clients, the collector, and challengers in trouble.
//
// Written in Go because the clients must never be what is measured: one core of it makes several times the requests
// that the fastest server here answers. Each subcommand reads its settings as JSON on standard input.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: load http|grpc|sink|trouble < settings.json"))
	}
	commands := map[string]func(*json.Decoder) error{
		"http": loadHTTP, "grpc": loadGRPC, "sink": serveSink, "trouble": serveTrouble,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fail(fmt.Errorf("there is no subcommand %q; there are http, grpc, sink and trouble", os.Args[1]))
	}
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := command(decoder); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}
